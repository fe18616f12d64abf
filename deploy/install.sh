#!/bin/sh
# Makes the virtual environment and installs what the project needs; called by the Makefile.
#
#   install.sh venv DIR EXTRAS   virtual environment DIR with the package, its EXTRAS and PyTorch
#   install.sh servers           Debian's Orthanc, Redis, DCMTK and dicom3tools, where that is allowed
#   install.sh validators        what else judges results in tests: PixelMed, GDCM, plugins of Orthanc
#   install.sh databases         PostgreSQL, for tests of an index in it
#   install.sh viewers           what shows results in tests: a browser, node, and the readers inside OHIF
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
    # Compiled below, on all cores, where pip would use one for a minute.
    pip_install="$venv/bin/pip --disable-pip-version-check install -q --no-compile"
    torch=$(sed -n 's/^torch==//p' "$here/constraints.txt")
    # Without a GPU the CPU build will do: it is a tenth of the size. TORCH_INDEX names an index that has it.
    if ! "$venv/bin/python" -c 'import importlib.metadata as m; m.version("torch")' 2>/dev/null; then
        echo "installing PyTorch $torch"
        if command -v nvidia-smi >/dev/null 2>&1 && nvidia-smi >/dev/null 2>&1; then
            $pip_install -c "$here/constraints.txt" "torch==$torch"
        else
            $pip_install -c "$here/constraints.txt" ${TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"} \
                "torch==$torch+cpu" 2>/dev/null || {
                echo "no CPU build of PyTorch in the configured index: taking the default one" \
                     "(set TORCH_INDEX to an index with CPU builds to save space)"
                $pip_install -c "$here/constraints.txt" "torch==$torch"
            }
        fi
    fi
    echo "installing medversa-node[$extras]"
    $pip_install -c "$here/constraints.txt" -e "$here[$extras]"
    # It says so, and goes on, where a package brings a file that is no Python of this version.
    "$venv/bin/python" -m compileall -q -j 0 "$venv/lib" "$here/model" "$here/structured_reports" \
        "$here/dicom_node" "$here/worker" >/dev/null || true
}

# Names the Debian packages of `FILE-OR-PROGRAM:PACKAGE` pairs whose first half is not there.
missing_of() {
    for pair in "$@"; do
        what=${pair%%:*}
        [ -e "$what" ] || PATH="$PATH:/usr/sbin:/usr/local/sbin" command -v "$what" >/dev/null 2>&1 ||
            printf ' %s' "${pair#*:}"
    done
}

install_missing() {
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    # shellcheck disable=SC2086
    apt_install $missing
}

install_servers() {
    install_missing Orthanc:orthanc redis-server:redis-server dcmsend:dcmtk dciodvfy:dicom3tools ||
        echo "could not install$missing: an embedded default serves where there is one"
    # What documents (profile legacy-pdf) are set in; without them they are refused.
    fonts=/usr/share/fonts
    install_missing "$fonts/truetype/dejavu/DejaVuSans.ttf:fonts-dejavu-core" \
        "$fonts/opentype/ipaexfont-gothic/ipaexg.ttf:fonts-ipaexfont-gothic" ||
        echo "could not install$missing: reports in these scripts cannot be documents"
}

install_validators() {
    plugins=/usr/share/orthanc/plugins
    install_missing gdcminfo:libgdcm-tools pdftotext:poppler-utils java:default-jre-headless \
        /usr/share/java/pixelmed.jar:libpixelmed-java \
        "$plugins/libOrthancGdcm.so:orthanc-gdcm" "$plugins/libOrthancDicomWeb.so:orthanc-dicomweb" ||
        echo "could not install$missing: tests that need them are skipped and say so"
}

install_databases() {
    ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || install_missing postgres:postgresql ||
        echo "could not install$missing: tests that need it are skipped and say so"
}

install_viewers() {
    install_missing node:nodejs npm:npm chromium:chromium \
        /usr/share/orthanc/plugins/libOrthancDicomWeb.so:orthanc-dicomweb ||
        echo "could not install$missing: tests that need them are skipped and say so"
    command -v npm >/dev/null 2>&1 || return 0
    cd "$here/tests/viewers"
    # npm writes the first of these when it is done.
    ! [ node_modules/.package-lock.json -nt package-lock.json ] || return 0
    echo "installing the readers inside OHIF"
    npm ci --loglevel=error >/dev/null ||
        echo "could not install the readers inside OHIF: tests that need them are skipped and say so"
}

case ${1:-} in
    venv) make_venv "$2" "$3" ;;
    servers) install_servers ;;
    validators) install_validators ;;
    databases) install_databases ;;
    viewers) install_viewers ;;
    *) sed -n '2,8p' "$0"; exit 2 ;;
esac
