learning_rate=0.02
while getopts "l:q" option; do
  case $option in
    l) learning_rate=$OPTARG ;;
    q) quiet=1 ;;
    *) exit 2 ;;
  esac
done
awk -v rate="$learning_rate" 'BEGIN { printf "cost = %.10f\n", (log(rate) / log(10) + 2) ^ 2 + 0.25 }'
