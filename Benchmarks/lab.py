"""What the benchmarks share: a network of real daemons, on loopback addresses or in network namespaces that a switch
of our own joins, their control sockets, and the load that bench-load makes."""

import http.client
import json
import os
import platform
import queue
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

REPOSITORY = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PORT = 7447


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a node's control socket."""

    def __init__(self, path, timeout=90):
        super().__init__("linnet", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)

    def ask(self, method, path, body=None):
        """The JSON that a route answers; a problem ends the benchmark."""
        self.request(method, path, None if body is None else json.dumps(body), {"Content-Type": "application/json"})
        response = self.getresponse()
        data = response.read()
        if response.status >= 400:
            sys.exit(f"{method} {path}: {response.status} {data.decode(errors='replace')}")
        return json.loads(data)


def machine():
    """The machine in one line."""
    model = "unknown processor"
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo") as file:
        memory = int(file.readline().split()[1]) / 2**20
    return f"{model}, {len(os.sched_getaffinity(0))} threads, {memory:.1f} GiB, Linux {platform.release()}"


def processor_seconds(pid):
    """User and system time that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid, key="VmRSS"):
    """A line of /proc/PID/status in MiB."""
    with open(f"/proc/{pid}/status") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) / 1024
    return float("nan")


def percentile(values, share):
    """The smallest value that at least `share` percent of all do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))]


def program(name):
    """A program of Benchmarks, built in release."""
    path = f"{REPOSITORY}/.build-bench/release/{name}"
    if not os.access(path, os.X_OK):
        sys.exit(f"there is no {path}: `make bench-network` and `make bench-consensus` make it")
    return path


def fdatasync_milliseconds(directory, count=200):
    """Milliseconds that an append of 512 bytes and an fdatasync take, one after the other."""
    path = f"{directory}/fdatasync"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    times = []
    for _ in range(count):
        started = time.monotonic()
        os.write(descriptor, bytes(512))
        os.fdatasync(descriptor)
        times.append((time.monotonic() - started) * 1000)
    os.close(descriptor)
    os.unlink(path)
    return times


def must(*words):
    """Runs a tool of the host, which must succeed."""
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(words)}: {done.stderr}")
    return done.stdout


class Switch:
    """Hosts that are network namespaces, joined by `linnet testnet switch`: each TUN device sits in one of them. One more,
    the observer, has no delay of its own."""

    def __init__(self, linnet, hosts, delay_ms, network="10.78.0"):
        self.tag = f"lb{os.getpid() % 100000}"
        self.count = hosts
        self.namespaces = [f"{self.tag}h{number}" for number in range(1, hosts + 1)]
        self.addresses = [f"{network}.{number}" for number in range(1, hosts + 1)]
        self.observer = f"{network}.250"
        self.observed = f"{self.tag}obs"
        devices = [f"{self.tag}t{number}" for number in range(1, hosts + 1)] + [f"{self.tag}o"]
        self.directory = tempfile.mkdtemp(prefix="lns.", dir="/tmp")
        words = [linnet, "testnet", "switch", "--socket", f"{self.directory}/switch.sock"]
        for device, address in zip(devices, self.addresses + [self.observer]):
            words += ["--port", f"{device}={address}"]
        self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL)
        self.connection = None
        deadline = time.monotonic() + 10
        while self.connection is None:
            try:
                connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                connection.settimeout(10)
                connection.connect(f"{self.directory}/switch.sock")
                self.connection = connection.makefile("rw")
            except OSError:
                connection.close()
                if time.monotonic() > deadline or self.process.poll() is not None:
                    sys.exit("the switch did not start")
                time.sleep(0.01)
        for namespace, device, address in zip(
                self.namespaces + [self.observed], devices, self.addresses + [self.observer]):
            must("ip", "netns", "add", namespace)
            must("ip", "link", "set", device, "netns", namespace)
            must("ip", "-n", namespace, "address", "add", f"{address}/24", "dev", device)
            # The same congestion control wherever this runs: a kernel whose default paces (BBR) spreads every block
            # over a part of the round trip.
            must("ip", "netns", "exec", namespace, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=reno")
            must("ip", "-n", namespace, "link", "set", device, "txqueuelen", "10000", "up")
            must("ip", "-n", namespace, "link", "set", "lo", "up")
            must("ip", "-n", namespace, "route", "replace", "239.0.0.0/8", "dev", device)
        if delay_ms:
            self.tell("delay", f"{int(delay_ms * 1000)}us")
            self.tell("delay", "0", hosts=[str(hosts + 1)])

    def tell(self, *words, hosts=(), pairs=()):
        """Changes the rules, in the words of `linnet testnet net`; the switch's state, `lateness` since it was last
        asked."""
        self.connection.write(json.dumps({"words": words, "hosts": list(hosts), "pairs": list(pairs)}) + "\n")
        self.connection.flush()
        answer = json.loads(self.connection.readline())
        if answer.get("error"):
            sys.exit(f"the switch: {answer['error']}")
        return answer["state"]

    def inside(self, namespace, words):
        """The words that run a program in a namespace; `ip netns exec` would mount another /sys."""
        return ["nsenter", f"--net=/run/netns/{namespace}", "--"] + words

    def round_trip_ms(self, count=40):
        """Milliseconds of UDP round trips between the first two hosts."""
        server = "import socket\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n" \
                 f"s.bind(('{self.addresses[1]}',9))\nprint('on',flush=True)\n" \
                 "while True:\n d,a=s.recvfrom(100)\n s.sendto(d,a)"
        client = "import socket,time\ns=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\ns.settimeout(2)\n" \
                 f"for _ in range({count}):\n t=time.monotonic()\n s.sendto(b'x',('{self.addresses[1]}',9))\n" \
                 " s.recv(100)\n print((time.monotonic()-t)*1000)"
        answering = subprocess.Popen(
            self.inside(self.namespaces[1], ["/usr/bin/python3", "-c", server]), stdout=subprocess.PIPE, text=True)
        try:
            answering.stdout.readline()
            shown = must(*self.inside(self.namespaces[0], ["/usr/bin/python3", "-c", client]))
        finally:
            answering.kill()
            answering.wait()
        return [float(line) for line in shown.split()]

    def close(self):
        """Removes the namespaces; the switch's last state."""
        state = {}
        try:
            state = self.tell()
        except (OSError, ValueError) as error:
            print(f"the switch does not answer: {error}", file=sys.stderr)
        self.process.terminate()
        self.process.wait(10)
        for namespace in self.namespaces + [self.observed]:
            subprocess.run(["ip", "netns", "del", namespace], check=False, capture_output=True)
        shutil.rmtree(self.directory, ignore_errors=True)
        return state


class Network:
    """Daemons on this machine. Each has a directory `node1` ... with its key, configuration, socket and log."""

    def __init__(self, linnet, nodes=4, validators=None, delay_ms=None, profile="loopback", parameters=None,
                 load_accounts=0, load_seed=1, more_accounts=0):
        self.linnet = os.path.realpath(linnet)
        self.scratch = tempfile.mkdtemp(prefix="lnb.", dir="/tmp")
        os.chmod(self.scratch, 0o711)
        self.count = nodes
        self.processes = {}
        self.connections = {}
        self.switch = None
        self.profile = profile
        self.seed = load_seed
        self.accounts = load_accounts
        self.nonce = 0
        if delay_ms is None:
            base = f"127.{1 + os.getpid() % 200}.{int(time.monotonic() * 10) % 250}"
            self.addresses = [f"{base}.{number}" for number in range(1, nodes + 1)]
        else:
            self.switch = Switch(self.linnet, nodes, delay_ms)
            self.addresses = self.switch.addresses
        self.ids = []
        try:
            self.prepare(nodes, validators, parameters, more_accounts)
        except BaseException:
            self.close()
            raise

    def prepare(self, nodes, validators, parameters, more_accounts):
        """Makes the keys, the configurations and the genesis."""
        for number in range(1, nodes + 1):
            os.mkdir(self.file(number, ""), 0o711)
            self.configure(number)
            words = [self.linnet, "init", "--config", self.file(number, "node.conf"), "--json"]
            self.ids.append(json.loads(subprocess.check_output(words, env=self.environment()))["id"])
        self.load_ids = []
        if self.accounts:
            words = [program("bench-load"), "accounts", str(self.seed), str(self.accounts)]
            self.load_ids = subprocess.check_output(words, text=True).split()
        genesis = {
            "name": "benchmark", "createdMilliseconds": int(time.time() * 1000), "parameters": parameters or {},
            "validators": sorted(
                [self.ids[number - 1] for number in validators] if isinstance(validators, list)
                else self.ids[:validators or nodes]),
            "balances": [{"account": account, "amountMicrocredits": 10**12} for account in self.ids + self.load_ids],
        }
        if more_accounts:
            more = subprocess.check_output(
                [program("bench-load"), "accounts", str(self.seed + 1000), str(more_accounts)], text=True).split()
            genesis["balances"] += [{"account": account, "amountMicrocredits": 10**6} for account in more]
        with open(self.genesis, "w") as file:
            json.dump(genesis, file)

    @property
    def genesis(self):
        """The genesis document."""
        return f"{self.scratch}/genesis.json"

    def file(self, number, name):
        """A file of a node."""
        return f"{self.scratch}/node{number}/{name}"

    def environment(self):
        """Without settings of the host that would steer the commands."""
        return {key: value for key, value in os.environ.items() if not key.startswith("LINNET_")}

    def configure(self, number):
        """Writes a node's configuration."""
        entrances = [f'"{address}:{PORT}"' for address in self.addresses[:2] if address != self.addresses[number - 1]]
        with open(self.file(number, "node.conf"), "w") as file:
            file.write(f"""[node]
data_directory = "{self.scratch}/node{number}"
name = "node{number}"
genesis = "{self.genesis}"
[network]
listen = ["{self.addresses[number - 1]}:{PORT}"]
bootstrap = [{", ".join(entrances)}]
profile = "{self.profile}"
[control]
socket = "{self.file(number, "control.sock")}"
[offer]
enabled = false
""")

    def start(self, number):
        """Starts a node."""
        words = [self.linnet, "daemon", "--config", self.file(number, "node.conf")]
        if self.switch:
            words = self.switch.inside(self.switch.namespaces[number - 1], words)
        with open(self.file(number, "log"), "a") as log:
            self.processes[number] = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment())

    def kill(self, number):
        """`kill -9`, as a crash."""
        process = self.processes.pop(number)
        self.connections.pop(number, None)
        process.kill()
        process.wait()

    def ask(self, number, path):
        """What a node answers; None while it does not."""
        try:
            if number not in self.connections:
                self.connections[number] = UnixConnection(self.file(number, "control.sock"))
            return self.connections[number].ask("GET", path)
        except (OSError, http.client.HTTPException):
            self.connections.pop(number, None)
            process = self.processes.get(number)
            if process is None or process.poll() is not None:
                sys.exit(f"node {number} has ended:\n" + self.log(number))
            return None

    def log(self, number, lines=20):
        """The end of a node's log."""
        with open(self.file(number, "log")) as file:
            return "".join(file.readlines()[-lines:])

    def height(self, number):
        """The last final height at a node, 0 while it does not answer."""
        answer = self.ask(number, "/v1/chain")
        return answer["height"] if answer else 0

    def wait(self, what, holds, seconds=60.0, pause=0.01):
        """Waits until something holds; how long that took."""
        started = time.monotonic()
        while not holds():
            if time.monotonic() - started > seconds:
                for number in range(1, self.count + 1):
                    print(f"--- node {number}\n{self.log(number)}", file=sys.stderr)
                sys.exit(f"not within {seconds} s: {what}")
            time.sleep(pause)
        return time.monotonic() - started

    def up(self, numbers=None):
        """Starts nodes and waits until they agree on a block and see each other."""
        numbers = list(numbers or range(1, self.count + 1))
        for number in numbers:
            self.start(number)

        def is_ready():
            states = [self.ask(number, "/v1/status") for number in numbers]
            return all(state and state["height"] > 0 and state["peersAlive"] >= len(numbers) - 1 for state in states)

        return self.wait("all nodes are ready", is_ready)

    def blocks(self, first, last, number=1):
        """Blocks of the chain."""
        return [self.ask(number, f"/v1/blocks/{height}") for height in range(first, last + 1)]

    def close(self):
        """Stops and removes everything; what the switch carried."""
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        carried = self.switch.close() if self.switch else None
        if os.environ.get("LINNET_BENCH_KEEP"):
            print(f"kept: {self.scratch}", file=sys.stderr)
        else:
            shutil.rmtree(self.scratch, ignore_errors=True)
        return carried


class Load:
    """Transactions that are signed beforehand, and spread as they are asked for."""

    def __init__(self, network, count, kind="transfer", targets=None, to=0):
        # Every account signs as many, so that the next load knows their nonces.
        count = -(-count // network.accounts) * network.accounts
        self.network = network
        self.total = count
        self.sent = 0
        self.finals = []
        self.first_nonce = network.nonce
        network.nonce += count // network.accounts
        words = [
            program("bench-load"), "run", "--genesis", network.genesis, "--seed", str(network.seed), "--accounts",
            str(network.accounts), "--kind", kind, "--count", str(count), "--nonce", str(self.first_nonce), "--to", str(to),
        ]
        words += [f"{network.addresses[n - 1]}:{PORT}@{network.ids[n - 1]}" for n in targets or range(1, network.count + 1)]
        if network.switch:
            words = network.switch.inside(network.switch.observed, words)
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.expect("ready", 300)

    def listen(self):
        """Collects what bench-load says."""
        for line in self.process.stdout:
            words = line.split()
            if words and words[0] == "final":
                self.finals.append((int(words[1]), int(words[2]), int(words[3]), words[4], int(words[5])))
            else:
                self.lines.put(line.strip())
        self.lines.put("ended")

    def expect(self, beginning, seconds):
        """Waits for a line."""
        line = self.lines.get(timeout=seconds)
        if not line.startswith(beginning):
            sys.exit(f"bench-load said '{line}', not '{beginning}'")
        return line

    def send(self, count):
        """Spreads the next transactions."""
        count = min(count, self.total - self.sent)
        if count <= 0:
            return
        self.process.stdin.write(f"send {count}\n")
        self.process.stdin.flush()
        self.sent = int(self.expect("sent", 120).split()[1])

    def final(self, number=1):
        """How many of them are final at a node, by the nonces of the first and the last account."""
        accounts = self.network.load_ids
        nonces = []
        for account in (accounts[0], accounts[-1]):
            answer = self.network.ask(number, f"/v1/accounts/{account}")
            nonces.append(max(0, (answer["nonce"] if answer else 0) - self.first_nonce))
        return min(self.total, sum(nonces) * len(accounts) // 2)

    def close(self):
        """Ends it."""
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(20)


def table(headings, rows):
    """A table of Markdown."""
    print("| " + " | ".join(headings) + " |")
    print("|---|" + "---:|" * (len(headings) - 1))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")


def median(values):
    """The middle one."""
    return statistics.median(values)
