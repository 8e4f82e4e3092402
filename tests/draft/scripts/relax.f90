program relax
  implicit none
  real(8) :: omega = 1d0
  integer :: sweeps = 10
  namelist /control/ omega, sweeps
  read (*, nml=control)
  print *, "residual norm:", (log10(omega) + 2)**2 + 0.25d0
end program relax
