"""A device's core on the bench: presses its button, plays its loop and its receiver. Runs on MicroPython too."""

from ansim_fw.core import device, link_watch, message

TICK_MS = 10
CURVE = ((4200, 100), (3800, 40), (3700, 15), (3600, 5), (3300, 0))


class Bench:
    """Drives one Device and keeps what it did.

    Attributes:
        sent: (event, attempt) in order; told: announcements in order; stored, forgotten: events.
    """

    def __init__(self, provisioned=True, link=link_watch.UP, cancel_s=30, durable=True, prealarm_s=30, mains=False):
        settings = {"heartbeat_min": 60, "cancel_s": cancel_s, "spread_s": 0, "prealarm_s": prealarm_s, "fall": 1}
        self.device = device.Device(3, settings, 77, "0.1.0", "power_on", CURVE, provisioned, mains)
        self.inputs = device.Inputs()
        self.inputs.link = link
        self.inputs.battery_mv = 3900
        self.durable = durable
        self.answer = False
        self.sent = []
        self.told = []
        self.stored = []
        self.forgotten = []
        self.patterns = []
        self.connects = 0
        self.reconnects = 0
        self.saved = []

    def step(self, elapsed_ms=TICK_MS):
        actions = self.device.step(elapsed_ms, self.inputs)
        self.inputs.stored.clear()
        self.inputs.commands.clear()
        self.inputs.button_edge = False
        self.inputs.fall = False
        while actions:
            self._act(actions.pop(0))

    def run(self, duration_ms, tick_ms=TICK_MS):
        for _ in range(duration_ms // tick_ms):
            self.step(tick_ms)

    def press(self, held_ms=100):
        self.inputs.button_down = True
        self.inputs.button_edge = True
        self.run(held_ms)
        self.inputs.button_down = False
        self.run(50)

    def fall(self):
        self.inputs.fall = True
        self.run(30)

    def command(self, payload):
        self.inputs.commands.append(message.decode_command(payload))
        self.step()

    def kinds(self, type_number):
        return [event.kind for event, _ in self.sent if event.type == type_number]

    def _act(self, action):
        what = action[0]
        if what == device.STORE:
            self.stored.append(action[1])
            self.inputs.stored.append((action[1], self.durable))
        elif what == device.SEND:
            self._send(action[1])
        elif what == device.FORGET:
            self.forgotten.append(action[1])
        elif what == device.SHOW:
            self.patterns.append(action[1])
        elif what == device.CONNECT:
            self.connects += 1
        elif what == device.RECONNECT:
            self.reconnects += 1
        elif what == device.SAVE:
            self.saved.append(action[1:])
        elif what == device.ANNOUNCE:
            self.told.append(action[1])

    def _send(self, entry):
        self.sent.append((entry.event, entry.attempts))
        if self.answer:
            ack = message.ack(entry.event.boot, entry.event.seq)
            self.inputs.commands.append(message.decode_command(ack))
