rate=0.01
rounds=5
while [ $# -gt 0 ]; do
  case "$1" in
    --rate|-r) rate="$2"; shift 2 ;;
    --rounds) rounds="$2"; shift 2 ;;
    --quiet) shift ;;
    *) echo "unknown: $1" >&2; exit 2 ;;
  esac
done
awk -v rate="$rate" 'BEGIN { printf "energy: %.10f\n", (log(rate) / log(10) + 2) ^ 2 + 0.25 }'
