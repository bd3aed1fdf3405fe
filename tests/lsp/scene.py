"""A policy and its site, small enough to be seen as a whole."""

POLICY = """\
policy p "one farm"
let lhc = {"cms", "atlas"}
window nights = "Mon-Fri 20:00-08:00"
share grid 60% {
    share lhc 75% borrow 10%
    share small 25%
}
share local 40%
during nights { share grid 70%  share local 30% }
assign grid.lhc when origin == grid and group in lhc
assign grid.small when origin == grid
assign local otherwise
deny "no" when in grid and cores > 8
route job, vmjob, vm, pool to slurm
"""
SITE = """\
name: lab
timezone: Europe/Rome
farm: farm.yaml
groups: [cms, atlas, theory]
roles: [ops]
attributes:
  budget: {type: number, trust: vouched, default: 0}
backends:
  slurm: {driver: simulated}
"""
FARM = "nodes:\n  - {name: 'wn[1-10]', cores: 100, memory: 200GiB}\n"
