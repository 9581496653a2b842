"""One side of a hand-over, played by hand, up to a step.

    handover.py DIRECTORY LISTEN take STEP ACTION    plays the newer process
    handover.py DIRECTORY LISTEN relay STEP ACTION   takes everything over, and plays the older process then
    handover.py DIRECTORY LISTEN heir STEP ACTION    plays the newer process that the older one has started
    handover.py DIRECTORY LISTEN decoy STEP ACTION   plays an older process that has nothing

Each step is printed once it is over. At STEP it does ACTION: die (kill -9), hang, or a message to send: polite, unable;
or format: hands over in one that nobody knows; rush: says able without a hello; terminate: SIGTERM comes to the newer
process in one piece with the word that everything is its own.
"""
import os, signal, socket, struct, sys, time

directory, listen, mode, last, action = sys.argv[1:]
FORMAT = 99 if action == "format" else 1


def name():
    value = 0xCBF29CE484222325
    for byte in listen.encode():
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return "%s/take-over-%x" % (directory, value)


def text(words):
    return bytes([len(words)]) + words.encode()


def step(found, channel=None):
    print(found, flush=True)
    if found != last or FORMAT == 99 or action == "terminate":
        return
    if action == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "hang":
        time.sleep(600)
    else:
        channel.send({"polite": b"p", "unable": b"u"}[action] + text("because the test wants it"))
        # Whoever is asked to end closes the connection.
        while channel.recv(65536):
            pass
        print("the older process has closed the connection", file=sys.stderr)
        sys.exit(0)


def receive(channel, expected):
    message, descriptors, flags, _ = socket.recv_fds(channel, 65536, 253)
    if not message:
        sys.exit("the connection ended where %r was expected" % expected)
    if chr(message[0]) not in expected:
        sys.exit("not %r but %r" % (expected, message))
    return message, descriptors


def connect():
    if mode == "heir":
        return socket.socket(fileno=int(os.environ["HOLDFAST_TAKE_OVER"]))
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel.connect(name())
    return channel


def take():
    """Everything that the older process hands over: messages with their descriptors."""
    channel = connect()
    everything = []
    last_step = step if mode != "relay" else lambda *_: None
    if action == "rush":
        channel.send(b"a")
        receive(channel, "k")
        sys.exit(0)
    channel.send(b"h\x01\x02" + text("by hand"))
    last_step("hello", channel)
    receive(channel, "w")
    last_step("welcome", channel)
    channel.send(b"a")
    last_step("able", channel)
    everything.append(receive(channel, "c"))
    last_step("common", channel)
    while True:
        message, descriptors = receive(channel, "be")
        everything.append((message, descriptors))
        if message[0] == ord("e"):
            break
        last_step("batch", channel)
    last_step("whole", channel)
    channel.send(b"r")
    last_step("ready", channel)
    receive(channel, "y")
    last_step("yours", channel)
    channel.send(b"m")
    return everything


def give(everything):
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.path.exists(name()):
        os.unlink(name())
    door.bind(name())
    door.listen(1)
    print("listening", flush=True)
    channel, _ = door.accept()
    receive(channel, "h")
    step("hello", channel)
    # The format of the welcome, its release, the address, and no connections that need room.
    welcome = b"w" + (b"\xc6\x01" if FORMAT == 99 else b"\x02") + text("by hand") + text(listen) + b"\x00"
    channel.send(welcome)
    step("welcome", channel)
    if FORMAT == 99:
        receive(channel, "p")
        sys.exit(0)
    receive(channel, "a")
    step("able", channel)
    names = {ord("c"): "common", ord("b"): "batch", ord("e"): "whole"}
    for message, descriptors in everything:
        socket.send_fds(channel, [message], descriptors)
        step(names[message[0]], channel)
    receive(channel, "r")
    step("ready", channel)
    if action == "terminate":
        peer = struct.unpack("iii", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        stop(peer)
    channel.send(b"y")
    if action == "terminate":
        # After the word, or the newer process gives up before its turn, as it may.
        os.kill(peer, signal.SIGTERM)
        os.kill(peer, signal.SIGCONT)
    step("yours", channel)
    receive(channel, "m")


def stop(process):
    """Until all of its threads are stopped."""
    os.kill(process, signal.SIGSTOP)
    threads = "/proc/%d/task" % process
    while not all(is_stopped("%s/%s/stat" % (threads, thread)) for thread in os.listdir(threads)):
        time.sleep(0.01)


def is_stopped(path):
    with open(path) as file:
        return file.read().rsplit(")", 1)[1].startswith(" T")


signal.alarm(300)
state = take() if mode != "decoy" else []
if mode in ("relay", "decoy"):
    give(state)
