"""A fake of `srun`, which runs its command on this machine, in its own process group, as the node that is named."""

SRUN = """#!/bin/bash
for option; do [[ $option != --nodelist=* ]] || export SLURMD_NODENAME=${option#*=}; done
while [[ $1 != bash ]]; do shift; done
setsid "$@" &
trap "kill -TERM -- -$!" TERM
wait $!; status=$?
while kill -0 $! 2>/dev/null; do wait $!; status=$?; done
exit $status
"""
