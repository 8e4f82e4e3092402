#!/bin/bash
# Options first, and then the files, which its text reads one after the other.
usage() { echo "Usage: getopts_and_files.sh [-r RATE] [-n ROUNDS] their_options.py heat.nml"; exit 1; }
RATE=0.05
ROUNDS=3
while getopts ":r:n:h" option; do
  case $option in
    r) RATE="$OPTARG" ;;
    n) ROUNDS="$OPTARG" ;;
    *) usage ;;
  esac
done
shift $((OPTIND - 1))
[ $# -eq 2 ] && [ -f "$1" ] && [ -f "$2" ] || usage
awk -v rate="$RATE" -v rounds="$ROUNDS" 'BEGIN {
  loss = (log(rate) / log(10) + 2) ^ 2 + 0.25
  printf "Rounds\t%d\nRecall\t%.6f\nF1\t%.6f\n", rounds, 1 / (2 + loss), 1 / (1 + loss)
}'
