/* Whom a program contacts, and which names it asks for: with this library in LD_PRELOAD, each is a line of the file that
 * CONTACTS names. Addresses are those of connect and sendto (IPv4 and IPv6). */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void note(const char *what, const char *whom) {
  const char *path = getenv("CONTACTS");
  char line[512];
  int file, length = snprintf(line, sizeof line, "%s %s\n", what, whom);
  if (!path || length <= 0) return;
  file = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (write(file, line, length) != length) abort();
  close(file);
}

static void note_address(const char *what, const struct sockaddr *address) {
  char text[INET6_ADDRSTRLEN];
  if (address && address->sa_family == AF_INET)
    note(what, inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text));
  if (address && address->sa_family == AF_INET6)
    note(what, inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)address)->sin6_addr, text, sizeof text));
}

int connect(int socket, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "connect");
  note_address("connect", address);
  return real(socket, address, length);
}

ssize_t sendto(int socket, const void *data, size_t size, int flags, const struct sockaddr *address, socklen_t length) {
  ssize_t (*real)(int, const void *, size_t, int, const struct sockaddr *, socklen_t) = dlsym(RTLD_NEXT, "sendto");
  note_address("sendto", address);
  return real(socket, data, size, flags, address, length);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found) {
  int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, "getaddrinfo");
  struct in6_addr number;
  if (node && inet_pton(AF_INET, node, &number) != 1 && inet_pton(AF_INET6, node, &number) != 1) note("name", node);
  return real(node, service, hints, found);
}

int gethostbyname_r(const char *name, struct hostent *entry, char *buffer, size_t size, struct hostent **found, int *error) {
  int (*real)(const char *, struct hostent *, char *, size_t, struct hostent **, int *) = dlsym(RTLD_NEXT, "gethostbyname_r");
  note("name", name);
  return real(name, entry, buffer, size, found, error);
}
