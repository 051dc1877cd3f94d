#!/usr/bin/env bash
# Runs every test, on SQLite and on PostgreSQL. Arguments are those of `cargo test`: a part of the tests' names
# runs these alone. Rust is all that must be there; what else is missing is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

install() {
  as_root=()
  if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
  "${as_root[@]}" apt-get update
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

# SQLite is compiled in, which takes a C compiler.
command -v cc >/dev/null || install gcc libc6-dev

# One test reads the files with the system's own SQLite.
command -v sqlite3 >/dev/null || install sqlite3

# The tests start a PostgreSQL of their own from its programs, unless a server is named.
if [ -z "${SUBLEDGER_TEST_POSTGRES_URL:-}" ] && ! command -v initdb >/dev/null &&
  ! compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; then
  install postgresql
fi

# One test runs a pooler before it.
command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ] || install pgbouncer

# One test installs a fake of Stripe's API, which is written in Python.
python3 -c 'import ensurepip, venv' 2>/dev/null || install python3 python3-venv

# Real bodies of Stripe's, which are not this project's to ship: a folder of them may be named, or lie
# beside the checkout.
if [ -z "${SUBLEDGER_TEST_CORPUS:-}" ] && [ -d ../shared/stripe/corpus ]; then
  export SUBLEDGER_TEST_CORPUS="$PWD/../shared/stripe/corpus"
fi
if [ -z "${SUBLEDGER_TEST_CORPUS:-}" ]; then
  echo "SUBLEDGER_TEST_CORPUS names no folder: the two tests over real bodies have none to read" >&2
fi

# Many tests wait for a server, a signal or a time limit, so twice as many run at once as there are processors.
export RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * $(nproc)))}"

cargo test --locked "$@"

# Targets other than the integration tests use no database.
case " $* " in
*" --lib "* | *" --bin "* | *" --bins "* | *" --doc "*) exit ;;
esac

# PostgreSQL runs what the module's name does not exclude: see tests/it/main.rs.
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  options+=("$1")
  shift
done
[ $# -eq 0 ] || shift
SUBLEDGER_TEST_DATABASE=postgres cargo test --locked --test it ${options[@]+"${options[@]}"} -- \
  --skip run_once:: --skip sqlite_only:: --skip postgres_only:: "$@"
