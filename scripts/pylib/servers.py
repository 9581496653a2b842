"""Web servers in front of Holdfast, with copies of the configurations in conf/, made by scripts/derive."""
import asyncio
import re
import shutil
import subprocess

from place import Failed, is_root, reserve_ports, until


class Kind:
    """A kind of server: its program, and how it reaches Holdfast."""

    def __init__(self, program, title, configuration, *, http2=False, kept=False, cgi=False, routing=False):
        self.program = program
        self.title = title
        self.configuration = configuration  # in conf/; None: it has none
        self.has_http2 = http2
        self.is_kept = kept
        self.is_cgi = cgi
        self.is_routing = routing

    @property
    def base(self):
        return "/cgi-bin/holdfast.cgi" if self.program == "busybox" else "/push"

    @property
    def version(self):
        command = {"caddy": ["caddy", "version"], "busybox": ["busybox"]}.get(self.program, [self.program, "-v"])
        said = subprocess.run(command, capture_output=True, text=True, check=False)
        return re.search(r"\d+\.\d+(\.\d+)?", said.stdout + said.stderr).group()


KINDS = {
    "nginx": Kind("nginx", "nginx, connections kept", "nginx.conf", http2=True, kept=True),
    "nginx-unkept": Kind("nginx", "nginx, not kept", "nginx.conf", http2=True),
    "lighttpd": Kind("lighttpd", "lighttpd", "lighttpd.conf", http2=True),
    "apache": Kind("apache2", "Apache httpd", "apache.conf", http2=True),
    "haproxy": Kind("haproxy", "HAProxy", "haproxy.cfg", http2=True),
    "caddy": Kind("caddy", "Caddy", "Caddyfile", http2=True),
    "nginx-routing": Kind("nginx", "nginx that hides, before nginx", "routing-layer/nginx.conf", routing=True),
    "apache-routing": Kind("apache2", "Apache httpd before nginx", "routing-layer/apache.conf", routing=True),
    "lighttpd-cgi": Kind("lighttpd", "lighttpd, CGI", "cgi/lighttpd.conf", http2=True, cgi=True),
    "apache-cgi": Kind("apache2", "Apache httpd, CGI", "cgi/apache.conf", cgi=True),
    "busybox-cgi": Kind("busybox", "busybox httpd, CGI", None, cgi=True),
}


class Server:
    """A running server, in its own directory below the place's."""

    def __init__(self, place, name, socket, ini, helps=True):
        """
        `socket`: where Holdfast listens. `helps`: whether the server behind a routing layer has the lines of
        conf/routing-layer/inner.conf.
        """
        self.place = place
        self.name = name
        self.kind = KINDS[name]
        self.socket = socket
        self.ini = ini
        self.helps = helps
        self.directory = place.make_directory(name)
        for directory in ("log", "temp"):
            place.make_directory(f"{name}/{directory}")
        self.port, self.second, self.http2_port = reserve_ports(3)
        if self.kind.program != "nginx":
            self.http2_port = self.port
        # The server behind a routing layer.
        self.inner = Server(place, "nginx", socket, ini) if self.kind.is_routing else None
        self.process = None

    def client_port(self, version):
        return self.http2_port if version == "2" else self.port

    @property
    def keeps_connections(self):
        """Whether it keeps connections to Holdfast."""
        return self.kind.is_kept or self.kind.is_routing

    async def start(self, *options):
        """`options`: further ones of scripts/derive."""
        if self.inner is not None:
            lines = ["--server", f"include {self.place.root}/conf/routing-layer/inner.conf;"]
            await self.inner.start(*(lines if self.helps else []))
        if self.kind.is_cgi:
            self.place.make_directory(f"{self.name}/www/cgi-bin")
            shutil.copy(self.place.holdfast, self.cgi_program)
        path = f"{self.directory}/configuration"
        if self.kind.configuration is not None:
            text = self.place.derived(self.kind.configuration, *self.options(), *options)
            self.place.write(f"{self.name}/configuration", text)
        temp = f"{self.directory}/temp"
        self.process = await self.place.start(
            self.name, *self.command(path),
            environment={
                "HOLDFAST_INI": self.ini, "HOLDFAST_EARLY_HEADERS": "on",
                # Caddy stores its last configuration, and certificates.
                "HOME": temp, "XDG_DATA_HOME": temp, "XDG_CONFIG_HOME": temp,
            },
        )
        await until(f"{self.name} answers", self.answers)

    async def answers(self):
        if self.process.returncode is not None:
            raise Failed(f"{self.name} has ended; see {self.place.directory}")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(f"GET {self.kind.base}/-/live HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
            answer = await reader.read()
            writer.close()
            return b" 200 " in answer.split(b"\r\n")[0]
        except OSError:
            return False

    async def stop(self):
        await self.place.end(self.process)
        if self.inner is not None:
            await self.inner.stop()

    @property
    def cgi_program(self):
        return f"{self.directory}/www/cgi-bin/holdfast.cgi"

    def command(self, path):
        if self.kind.program == "nginx":
            log = f"{self.directory}/log/error.log"
            return ["nginx", "-p", self.directory, "-e", log, "-c", path, "-g", "daemon off;"]
        if self.kind.program == "lighttpd":
            return ["lighttpd", "-D", "-f", path]
        if self.kind.program == "apache2":
            return ["apache2", "-DFOREGROUND", "-f", path]
        if self.kind.program == "haproxy":
            return ["haproxy", "-f", path]
        if self.kind.program == "caddy":
            return ["caddy", "run", "--adapter", "caddyfile", "--config", path]
        user = ["-u", "www-data"] if is_root() else []
        listen = f"127.0.0.1:{self.port}"
        return ["busybox", "httpd", "-f", "-p", listen, "-h", f"{self.directory}/www", *user]

    def options(self):
        """The options of scripts/derive."""
        options = [
            "--directory", self.directory, "--descriptors", 8192, "--socket", self.socket,
            "--program", self.cgi_program, "--ini", self.ini,
            "--port", self.port, "--second", self.second, "--http2", self.http2_port,
        ]
        if self.inner is not None:
            options += ["--inner", self.inner.port]
        if self.name == "nginx-unkept":
            options.append("--unkept")
        return options
