program heat
  implicit none
  real(8) :: rate = 0.1d0
  integer :: cells = 50, unit
  namelist /grid/ cells
  namelist /solver/ rate
  open (newunit=unit, file="heat.nml", status="old")
  read (unit, nml=grid)
  rewind (unit)
  read (unit, nml=solver)
  close (unit)
  write (*, '(a, i0, a)') " solved on ", cells, " cells"
  write (*, '(a, es16.8)') " L2 error =", (log10(rate) + 2)**2 + 0.25d0
end program heat
