#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# guest.sh NUMA-VM ARGUMENT...: runs a guest; status 77, "skipped", where QEMU or
# busybox is missing: a test installs nothing.
set -euo pipefail
export TOOLS_NO_INSTALL=yes
for needed in qemu-system-x86_64 busybox; do
    command -v $needed >/dev/null || {
        echo "skipped: there is no $needed"
        exit 77
    }
done
exec "$@"
