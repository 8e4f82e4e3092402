import math


def loss_of(rate):
    return (math.log10(rate) + 2) ** 2 + 0.25
