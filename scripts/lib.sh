# shellcheck shell=bash
# What the scripts share. Sourced, not run; needs bash 5 and nothing else.
#
# The web servers' configurations in conf/ and conf/chat.ini are complete as they are. Copies for trying and testing,
# which listen on 127.0.0.1 alone and live in one directory, are made from them by replacing these literals, and nothing
# else; whoever changes a configuration keeps them, once or more often each. The tests and scripts/pylib/ do the same.
# Where a name stands for several files, nginx is conf/nginx.conf and routing-layer/nginx.conf, apache is
# conf/apache.conf, cgi/apache.conf and routing-layer/apache.conf.
#
#   literal                        in                    becomes
#   user www-data;                 nginx                 nothing, where nginx isn't started by root
#   server.username = "www-data"   lighttpd              nothing, where lighttpd isn't started by root
#   server.groupname = "www-data"  lighttpd              likewise
#   /run/nginx.pid                 nginx                 DIRECTORY/nginx.pid
#   /run/lighttpd.pid              lighttpd              DIRECTORY/lighttpd.pid
#   /var/log/nginx/                nginx                 DIRECTORY/log/
#   /var/log/lighttpd/             lighttpd              DIRECTORY/log/
#   /var/lib/nginx/                nginx                 DIRECTORY/temp/
#   /var/cache/lighttpd/uploads    lighttpd              DIRECTORY/temp
#   worker_rlimit_nofile 65536;    nginx                 worker_rlimit_nofile N;  N: at most the hard limit (ulimit -Hn)
#   worker_connections 32768;      nginx                 worker_connections N;    N: at most the above
#   server.max-fds = 65536         lighttpd              server.max-fds = N
#   fastcgi_param SERVER_SOFTWARE  nginx                 scripts/run: the same, and HOLDFAST_OPERATOR 1
#   nginx;
#   /usr/share/holdfast/www        all but Caddyfile     the directory with the files of conf/classic
#                                  and routing-layer
#   /run/holdfast/holdfast.sock    all but routing-layer where holdfast listens
#                                  and cgi
#   /run/holdfast-bus/bus.sock     ini                   the bus socket
#   /var/lib/holdfast              ini                   where the log is
#   group = www-data               ini                   group = own
#   /usr/lib/cgi-bin/holdfast.cgi  cgi/*                 the binary, or a link to it
#   /etc/holdfast.ini              cgi/*                 the ini file
#   ServerRoot /etc/apache2        apache                ServerRoot DIRECTORY
#   /var/run/apache2               apache                DIRECTORY/temp
#   /run/apache2.pid               apache                DIRECTORY/apache2.pid
#   /var/log/apache2/              apache                DIRECTORY/log/
#   User www-data, Group www-data  apache                nothing, where it isn't started by root
#   user haproxy, group www-data   haproxy               nothing, where it isn't started by root
#   maxconn 16000                  haproxy               maxconn N;  two descriptors each, and some
#   admin localhost:2019           Caddyfile             admin off; what it keeps is in DIRECTORY by XDG_DATA_HOME
#                                                        and XDG_CONFIG_HOME
#   bind 0.0.0.0                   Caddyfile             bind 127.0.0.1
#   0.0.0.0:8082                   nginx                 127.0.0.1:PORT, cleartext HTTP/2
#   0.0.0.0:8081                   nginx, lighttpd,      127.0.0.1:PORT, the second one
#                                  apache, haproxy
#   0.0.0.0:8080                   nginx, apache,        127.0.0.1:PORT, the first one
#                                  haproxy
#   127.0.0.1:8080                 routing-layer         127.0.0.1:PORT, the first one of the server behind it
#   0.0.0.0:8090                   routing-layer         127.0.0.1:PORT, its own
#   server.bind = "0.0.0.0"        lighttpd              server.bind = "127.0.0.1"
#   server.port = 8080             lighttpd              server.port = PORT, the first one
#   :8081                          ini, Caddyfile        :PORT, the second one
#   :8080                          ini, Caddyfile        :PORT, the first one
#
# The order matters for ports only: the later literal first, so that a result is never replaced again.

# The checkout, whatever directory the caller is in.
HOLDFAST_ROOT=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
export HOLDFAST_ROOT

# A sentence for the person, on standard error: standard output is for results.
say() {
    printf '%s\n' "$*" >&2
}

# What the script's first comment says.
show_help() {
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
}

# Says why and ends the script with status 1.
die() {
    say "${0##*/}: $*"
    exit 1
}

# substitute FROM TO [FROM TO …] < file: copies standard input with each literal FROM replaced by TO, in this order.
substitute() {
    local text
    text=$(cat)
    while (($# >= 2)); do
        text=${text//"$1"/"$2"}
        shift 2
    done
    printf '%s\n' "$text"
}

# Whether nobody listens on this port of the loopback address.
port_is_free() {
    ! (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# next_free_port FIRST: prints the first free port from FIRST on.
next_free_port() {
    local port
    for ((port = $1; port < $1 + 500 && port < 65536; port++)); do
        if port_is_free "$port"; then
            printf '%s\n' "$port"
            return
        fi
    done
    die "no free port from $1 on"
}
