#!/usr/bin/env bash
# Simulates reads, trims them, and scores what is left.
set -euo pipefail
quality=0.05
reads=200
while getopts "q:n:" option; do
  case $option in
    q) quality=$OPTARG ;;
    n) reads=$OPTARG ;;
    *) exit 2 ;;
  esac
done
seq "$reads" | awk '{ print $1 % 7 }' > reads.txt
sort -n reads.txt | uniq -c > counts.txt
python3 - "$quality" << 'PYTHON' | tee score.txt
import math, sys
kept = sum(1 for _ in open("counts.txt"))
print(f"kept {kept} kinds of reads")
print(f"F1 score: {1 / (1 + (math.log10(float(sys.argv[1])) + 2) ** 2 + 0.25):.9f}")
PYTHON
