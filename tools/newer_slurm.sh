#!/usr/bin/env bash
# Runs the tests on SLURM with the version of SLURM that a newer Debian has: trixie's 24.11, unpacked into build/trixie. As root, on
# Debian, with debootstrap; the first run downloads 200 MB. Arguments are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."
system=$PWD/build/trixie
if [ ! -e "$system/complete" ]; then
  rm -rf "$system"
  mkdir -p build
  packages=slurmctld,slurmd,slurm-client,munge,iproute2,procps,r-base-core
  libraries=libffi8,libsqlite3-0,libssl3t64,libexpat1,zlib1g,libbz2-1.0,liblzma5,libncursesw6,libreadline8t64,libgomp1
  debootstrap --variant=minbase --include="$packages,$libraries" trixie "$system"
  touch "$system/complete"
fi
# In its own mount namespace: all folders of this machine that the tests and their Python use lie where they lie.
# shellcheck disable=SC2016
exec unshare --mount bash -euc '
  system=$1; shift
  python=$(readlink -f .venv/bin/python)
  for folder in /proc /sys /dev /tmp "$PWD" "${python%/bin/*}"; do
    mkdir -p "$system$folder"
    mount --rbind "$folder" "$system$folder"
  done
  cp /etc/hosts /etc/resolv.conf "$system/etc/"
  exec chroot "$system" /usr/bin/env --ignore-environment --chdir="$PWD" HOME=/root LANG=C.UTF-8 TERM=xterm \
    PATH="$PWD/.venv/bin:/usr/sbin:/usr/bin:/sbin:/bin" python -m pytest -p no:cacheprovider tests/system/slurm "$@"
' bash "$system" "$@"
