set -eo pipefail
rate=$(candle_get_param learning_rate)
val_to_return=$(awk -v rate="$rate" 'BEGIN { printf "%.10f", (log(rate) / log(10) + 2) ^ 2 + 0.25 }')
