#!/bin/sh
# install.sh installs what the end-to-end tests need from Debian: ip, nft,
# redis-server, docker-registry, the PostgreSQL server programs, python3-jenkins
# and npm. It must run as root and asks nothing. What is there already is left
# alone, and no service is started: the tests start servers of their own, with
# their own data.
set -eu

missing=""
want() { # want PACKAGE TEST...: note the package when the test fails
	package=$1
	shift
	"$@" >/dev/null 2>&1 || missing="$missing $package"
}
postgres_there() { ls /usr/lib/postgresql/*/bin/initdb; }

PATH=$PATH:/usr/sbin:/sbin
want iproute2 command -v ip
want nftables command -v nft
want util-linux command -v nsenter
want redis-server command -v redis-server
want postgresql postgres_there
want docker-registry command -v docker-registry
# Isolated: a folder that is called jenkins, such as ours, would do as a module.
want python3-jenkins /usr/bin/python3 -I -c 'import jenkins; jenkins.Jenkins'
want nodejs command -v node
want npm command -v npm
want ca-certificates test -s /etc/ssl/certs/ca-certificates.crt

if [ -z "$missing" ]; then
	echo "install.sh: everything is installed"
	exit 0
fi
if [ "$(id -u)" != 0 ]; then
	echo "install.sh: not root; ask an administrator for:$missing" >&2
	exit 1
fi

# Debian starts a server as soon as its package is configured, unless policy-rc.d
# says no; and it creates a PostgreSQL cluster, unless createcluster.d says no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
	trap 'rm -f "$policy"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 0755 "$policy"
fi
case $missing in
*postgresql*)
	mkdir -p /etc/postgresql-common/createcluster.d
	echo "create_main_cluster = false" >/etc/postgresql-common/createcluster.d/gennaker-e2e.conf
	;;
esac

export DEBIAN_FRONTEND=noninteractive
echo "install.sh: installing$missing"
apt-get update -q -o DPkg::Lock::Timeout=300
# shellcheck disable=SC2086 # one word for each package is what is wanted
apt-get install -q -y -o DPkg::Lock::Timeout=300 --no-install-recommends -o Dpkg::Options::=--force-confold $missing
