from candle_hpo.cli import main

main()
