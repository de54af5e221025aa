"""The command line: `freshledger COMMAND`. A command's module is imported when it is used."""

from freshledger.cli.base import LazyGroup, data_dir_option

COMMANDS = {
    "backup": "freshledger.cli.backup:backup",
    "demo": "freshledger.cli.demo:demo",
    "diagnose": "freshledger.cli.diagnose:diagnose",
    "export": "freshledger.cli.exports:export",
    "import": "freshledger.cli.imports:import_",
    "ledger": "freshledger.cli.ledgers:ledger",
    "migration": "freshledger.cli.migration:migration",
    "psql": "freshledger.cli.psql:psql",
    "restore": "freshledger.cli.restore:restore",
    "serve": "freshledger.cli.serve:serve",
    "token": "freshledger.cli.tokens:token",
    "user": "freshledger.cli.users:user",
    "worker": "freshledger.cli.workers:worker",
}
"""Each command and where it is."""

main = LazyGroup(
    "freshledger",
    commands=COMMANDS,
    params=[data_dir_option()],
    help="Cryptocurrency transactions on pages that are never stale.",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
"""The entry point."""
