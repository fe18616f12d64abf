#!/bin/sh
# Makes the virtual environment and installs what the project needs; called by the Makefile.
#
#   install.sh venv DIR EXTRAS   virtual environment DIR with the package, its EXTRAS and PyTorch
#   install.sh servers           Debian's Orthanc, Redis, DCMTK and validators, where that is allowed
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null 2>&1 && sudo -n true 2>/dev/null; then sudo -n "$@"
    else return 1
    fi
}

apt_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    as_root true || return 1
    echo "installing Debian packages: $*"
    as_root apt-get update -qq || true
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

make_venv() {
    venv=$1 extras=$2
    python=$(command -v python3.11 || command -v python3) || { echo "Python 3.11 or newer is needed" >&2; exit 1; }
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        { echo "Python 3.11 or newer is needed; $python is $("$python" --version)" >&2; exit 1; }
    if [ ! -x "$venv/bin/pip" ]; then
        rm -rf "$venv"
        "$python" -m venv "$venv" 2>/dev/null || {
            # Debian splits ensurepip off.
            apt_install python3-venv || { echo "install python3-venv, then run again" >&2; exit 1; }
            "$python" -m venv "$venv"
        }
    fi
    pip="$venv/bin/pip --disable-pip-version-check"
    torch=$(sed -n 's/^torch==//p' "$here/constraints.txt")
    # Without a GPU the CPU build will do: it is a tenth of the size. TORCH_INDEX names an index that has it.
    if ! "$venv/bin/python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
        echo "installing PyTorch $torch"
        if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then
            $pip install -q -c "$here/constraints.txt" "torch==$torch"
        else
            $pip install -q -c "$here/constraints.txt" ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
                "torch==$torch+cpu" 2>/dev/null || {
                echo "no CPU build of PyTorch in the configured index: taking the default one" \
                     "(set TORCH_INDEX to an index with CPU builds to save space)"
                $pip install -q -c "$here/constraints.txt" "torch==$torch"
            }
        fi
    fi
    echo "installing medversa-node[$extras]"
    $pip install -q -c "$here/constraints.txt" -e "$here[$extras]"
}

install_servers() {
    missing=
    path="$PATH:/usr/sbin:/usr/local/sbin"
    for pair in Orthanc:orthanc redis-server:redis-server dcmsend:dcmtk dciodvfy:dicom3tools; do
        PATH=$path command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
    done
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    apt_install $missing || echo "could not install$missing: an embedded default serves where there is one"
}

case ${1:-} in
    venv) make_venv "$2" "$3" ;;
    servers) install_servers ;;
    *) sed -n '2,5p' "$0"; exit 2 ;;
esac
