#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  static struct option options[] = {
      {"rate", required_argument, 0, 'r'}, {"sweeps", required_argument, 0, 's'}, {"help", no_argument, 0, 'h'}, {0}};
  double rate = 0.05;
  int sweeps = 3, option;
  while ((option = getopt_long(argc, argv, "r:s:h", options, NULL)) != -1) {
    if (option == 'r') {
      rate = atof(optarg);
    } else if (option == 's') {
      sweeps = atoi(optarg);
    } else {
      printf("Usage: %s [OPTION]...\n\n  -r, --rate=NUM     cooling rate (default 0.05)\n"
             "  -s, --sweeps=N     how often over the lattice (default 3)\n  -h, --help         this text\n", argv[0]);
      return option == 'h' ? 0 : 1;
    }
  }
  for (int sweep = 1; sweep <= sweeps; sweep++) {
    double goal = pow(log10(rate) + 2, 2) + 0.25 + 1.0 / sweep - 1.0 / sweeps;
    printf("sweep %d: energy = %.8f\n", sweep, goal);
  }
  return 0;
}
