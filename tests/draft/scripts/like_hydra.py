"""Takes its values, and says what it has, as Hydra's scripts do; it is not one."""

import math
import sys

if "--help" in sys.argv:
    print("like_hydra is powered by Hydra.\n\n== Configuration groups ==\n\n\n== Config ==\nOverride anything in the config (foo.bar=value)\n")
    print("optimizer:\n  lr: 0.05\n  momentum: 0.9\nlayers:\n- 8\n- 4\nepochs: 3\n\n")
    print("Powered by Hydra (https://hydra.cc)\nUse --hydra-help to view Hydra specific help")
    sys.exit()
values = dict(word.split("=", 1) for word in sys.argv[1:])
assert values.get("layers", "[8,4]") in ("[8,4]", "[16,8]"), values
assert values.get("+extra", "1") == "1", values
print("val_loss:", (math.log10(float(values.get("optimizer.lr", 0.05))) + 2) ** 2 + 0.25)
