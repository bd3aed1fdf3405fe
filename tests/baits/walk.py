"""A random walk of baits through everything that happens on a farm: make bait-walk STEPS=1000000."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from dataclasses import dataclass, field
from random import Random

from wnodes_daemon.baits.records import Stage

from baits.world import World


@dataclass(slots=True)
class Walked:
    """What was seen on the way. `over`: steps after which a node was over-committed; `taken`: the same, but
    because others had ended a bait while its machine was booting, or while strangers were in its hole."""

    steps: int = 0
    over: int = 0
    taken: int = 0
    baits: int = 0
    ended: int = 0
    active: int = 0
    events: dict[str, int] = field(default_factory=dict)
    stages: set[Stage] = field(default_factory=set)


EVENTS = {
    "the daemon looks": 40,
    "the cloud goes on": 25,
    "a bait runs": 10,
    "a job starts": 4,
    "a job ends": 8,
    "a machine is not wanted any more": 3,
    "a stranger boots": 1.5,
    "a stranger goes": 3,
    "an owner deletes": 0.7,
    "an owner shelves": 0.3,
    "somebody moves a server": 0.3,
    "a compute service fails": 0.4,
    "a compute service is back": 1.0,
    "a node is lost": 0.05,
    "a bait is taken": 0.1,
    "a bait begins anew elsewhere": 0.05,
    "a node is taken back": 2,
}


def walk(steps: int, seed: int, *, cores: tuple[int, ...] = (8, 16, 4)) -> Walked:
    """So many steps, the same for the same seed."""
    random = Random(seed)
    world, walked = World(cores), Walked(steps)
    nodes = list(world.nodes.values())
    names, weights = list(EVENTS), list(EVENTS.values())

    def answer() -> str:
        drawn = random.random()
        return "crash" if drawn < 0.02 else "lost" if drawn < 0.06 else "passing" if drawn < 0.1 else ""

    for event in random.choices(names, weights, k=steps):
        node, size = random.choice(nodes), random.choice((1, 2, 4))
        keys, machines = list(world.baits), list(world.machines.values())
        ours = [m for m in machines if m.ref.key]
        strangers = [m for m in machines if not m.ref.key]
        match event:
            case "the daemon looks" if keys:
                key = random.choice(keys)
                walked.active += world.baits[key].stage is Stage.ACTIVE
                world.step(key, answer)
            case "the cloud goes on" if machines:
                world.go_on(random.choice(machines), fails=random.random() < 0.05)
            case "a bait runs":
                walked.baits += bool(world.win(node, size))
            case "a job starts":
                world.start(node, size)
            case "a job ends":
                world.finish(node)
            case "a machine is not wanted any more" if keys:
                world.unwant(random.choice(keys))
            case "a stranger boots":
                world.boot(node, size)
            case "a stranger goes" if strangers:
                world.delete(random.choice(strangers))
            case "an owner deletes" if ours:
                world.delete(random.choice(ours))
            case "an owner shelves" if ours:
                world.shelve(random.choice(ours))
            case "somebody moves a server" if machines:
                world.move(random.choice(machines), node)
            case "a compute service fails":
                world.fail(node)
            case "a compute service is back":
                world.repair(node)
            case "a node is lost":
                world.lose(node)
            case "a bait is taken" if keys:
                world.take(random.choice(keys))
            case "a bait begins anew elsewhere" if keys:
                world.take(random.choice(keys), node)
            case "a node is taken back":
                world.undrain(node)
            case _:
                continue
        walked.events[event] = walked.events.get(event, 0) + 1
        for each in nodes:
            if world.overcommitted(each):
                walked.over += 1
            elif each.taken and world.used(each) > each.cores:
                walked.taken += 1
    walked.ended = walked.baits - len(world.baits)
    walked.stages = world.stages
    return walked


def main() -> int:
    """Walk, and say what was seen; 1 if a node was ever over-committed."""
    parser = ArgumentParser("bait-walk")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    walked = walk(args.steps, args.seed)
    events = sorted(walked.events.items(), key=lambda each: -each[1])
    lines = (
        f"{walked.steps:,} steps, {walked.baits:,} baits, {walked.ended:,} of them ended",
        *(f"  {count:>9,}  {event}" for event, count in events),
        f"  {walked.active:>9,}  looks at a machine that was active",
        f"over-committed: {walked.over:,} steps; after others had taken a bait: {walked.taken:,}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if walked.over else 0


if __name__ == "__main__":
    sys.exit(main())
