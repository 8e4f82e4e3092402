: "${LR:=0.03}"
awk -v rate="$LR" 'BEGIN { printf "auc\t%.8f\n", 1 / (1 + (log(rate) / log(10) + 2) ^ 2 + 0.25) }'
