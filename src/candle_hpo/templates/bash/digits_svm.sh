# Runs a Python program that knows nothing of candle, and takes the value from what it prints.
#
# candle_get_param prints the value of a hyperparameter; what val_to_return holds in the end is what candle minimizes.

set -euo pipefail

folder=$(dirname "${BASH_SOURCE[0]}")

python3 "$folder/digits_svm.py" \
  --kernel "$(candle_get_param kernel)" \
  --penalty "$(candle_get_param penalty)" \
  --gamma "$(candle_get_param gamma)" \
  | tee results.txt

val_to_return=$(awk '/^cross-validated error:/ {print $3}' results.txt)
