"""The files of a Slurm cluster that lives in one folder, on loopback, without systemd and without cgroups."""

from __future__ import annotations

from pathlib import Path

ACCOUNTS = ("grid", "local", "cloud")
USERS = ("root", "nobody", "games", "man")
NO_ACCOUNTING = {
    "AccountingStorageType": "accounting_storage/none",
    "AccountingStorageEnforce": "",
    "AccountingStorageTRES": "",
    "PreemptType": "",
    "PreemptMode": "",
}
CORES = 16
MEMORY = 64000


def slurm_conf(folder: Path, host: str, port: int, nodes: int, more: dict[str, str]) -> str:
    """slurm.conf; `more` are settings to put in the place of ours."""
    settings = {
        "ClusterName": "lab",
        "MailProg": "/bin/true",
        "SlurmctldHost": f"{host}(127.0.0.1)",
        "SlurmctldPort": str(port),
        "SlurmdPort": str(port + 9),
        "CommunicationParameters": "NoCtldInAddrAny,NoInAddrAny",
        "SlurmUser": "root",
        "SlurmdUser": "root",
        "AuthType": "auth/munge",
        "AuthInfo": f"socket={folder}/munge/socket,ttl=20",
        "CryptoType": "crypto/munge",
        "StateSaveLocation": f"{folder}/state",
        "SlurmdSpoolDir": f"{folder}/spool/%n",
        "SlurmctldPidFile": f"{folder}/pid/slurmctld",
        "SlurmdPidFile": f"{folder}/pid/slurmd-%n",
        "SlurmdParameters": "config_overrides",
        "ProctrackType": "proctrack/linuxproc",
        "TaskPlugin": "task/none",
        "JobAcctGatherType": "jobacct_gather/linux",
        "JobAcctGatherFrequency": "5",
        "MpiDefault": "none",
        "ReturnToService": "0",
        "SlurmctldTimeout": "30",
        "SlurmdTimeout": "15",
        "MessageTimeout": "5",
        "TCPTimeout": "2",
        "InactiveLimit": "0",
        "MinJobAge": "300",
        "KillWait": "2",
        "CompleteWait": "0",
        "MaxJobCount": "100000",
        "EnforcePartLimits": "ALL",
        "SchedulerType": "sched/backfill",
        "SchedulerParameters": "batch_sched_delay=0,sched_interval=2,sched_min_interval=100000,bf_interval=2",
        "SelectType": "select/cons_tres",
        "SelectTypeParameters": "CR_Core_Memory",
        "PriorityType": "priority/multifactor",
        "PriorityWeightAge": "1000",
        "PriorityWeightQOS": "20000",
        "DefMemPerCPU": "100",
        "GresTypes": "gpu",
        "Epilog": "/bin/true",
        "PreemptType": "preempt/qos",
        "PreemptMode": "REQUEUE",
        "AccountingStorageType": "accounting_storage/slurmdbd",
        "AccountingStorageHost": "127.0.0.1",
        "AccountingStoragePort": str(port + 1),
        "AccountingStoragePass": f"{folder}/munge/socket",
        "AccountingStorageEnforce": "associations,limits,qos,safe",
        "AccountingStorageTRES": "gres/gpu",
        **more,
    }
    lines = [f"{name}={value}" for name, value in settings.items() if value]
    lines.append(
        f"NodeName=DEFAULT CPUs={CORES} Boards=1 SocketsPerBoard=1 CoresPerSocket={CORES} ThreadsPerCore=1 "
        f"RealMemory={MEMORY} TmpDisk=0"
    )
    for at in range(1, nodes + 1):
        special = " Gres=gpu:2 Feature=ssd" if at == 1 else ""
        lines.append(f"NodeName=g{at} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 9 + at}{special}")
    lines += [
        f"PartitionName=grid Nodes=g[1-{nodes}] Default=YES MaxTime=7-00:00:00 DefaultTime=01:00:00 State=UP",
        f"PartitionName=short Nodes=g[1-{nodes}] MaxTime=00:10:00 DefaultTime=00:05:00 State=UP",
    ]
    return "\n".join(lines) + "\n"


def slurmdbd_conf(folder: Path, port: int) -> str:
    """slurmdbd.conf."""
    return f"""AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CommunicationParameters=NoInAddrAny
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort={port + 1}
SlurmUser=root
LogFile={folder}/log/slurmdbd.log
PidFile={folder}/pid/slurmdbd
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={port + 2}
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct
"""


def associations() -> str:
    """What sacctmgr loads: three accounts, with all users in each."""
    lines = ["Cluster - 'lab':Fairshare=1:QOS='normal'", "Parent - 'root'"]
    lines.append("User - 'root':DefaultAccount='grid':AdminLevel='Administrator':Fairshare=1")
    lines += [f"Account - '{name}':Description='{name}':Organization='lab':Fairshare=1" for name in ACCOUNTS]
    for name in ACCOUNTS:
        lines.append(f"Parent - '{name}'")
        lines += [
            f"User - '{user}':DefaultAccount='grid':Fairshare=1:DefaultQOS='normal':QOS='normal,low,high'"
            for user in USERS
        ]
    return "\n".join(lines) + "\n"
