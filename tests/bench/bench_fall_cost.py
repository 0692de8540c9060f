"""What the fall detector costs: time here and, by estimate, on an ESP32; memory; bytes on the device."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from ansim.boards import load_board
from ansim.falls import model_file
from ansim.falls.bounds import PLACEMENTS
from ansim.home import Home, project_root
from ansim.image import build_firmware
from figure import Figure

HERE = Path(__file__).parent
FIRMWARE = project_root() / "firmware"
FOLDER = "ansim_fw/core/fall/"

# 20,000 turns of an integer loop on an ESP32 (official build of MicroPython 1.23): plain, and with viper.
ESP32_TURNS_PLAIN_US = 70_000
ESP32_TURNS_VIPER_US = 2_400
# 6 bytes a sample at 50 Hz, 9 clocks a byte, 400 kHz; the address and the register of each read are a tenth more.
I2C_SHARE = 50 * 6 * 9 / 400_000 * 1.1


def measure() -> list[Figure]:
    models = {name: model_file.pack(model_file.read(model_file.shipped(name))) for name in PLACEMENTS}
    cost = _cost(models["waist"])
    ratio = cost["plain_ns"] / cost["viper_ns"]
    peer = f"plain MicroPython {cost['plain_ns']:.0f} ns"
    return [
        Figure("fall screen: viper over the same loop plain", round(ratio, 1), "x", 20, at_least=True),
        Figure("fall screen", round(cost["viper_ns"], 1), "ns/sample", peer=peer),
        Figure("fall window decision: features", round(cost["features_us"]), "us"),
        Figure("fall window decision: trees", round(cost["score_us"], 1), "us"),
        Figure(f"allocated by {cost['batches']:.0f} batches", cost["allocated"], "bytes", 0),
        *_budget(cost),
        *(Figure(f"fall model, {name}", len(packed), "bytes") for name, packed in models.items()),
        Figure("fall detector as .mpy", _code_bytes(), "bytes"),
    ]


def _cost(model: bytes) -> dict[str, float]:
    command = [sys.executable, "-m", "micropython_unix", str(HERE / "fall_cost.py"), str(FIRMWARE)]
    done = subprocess.run(command, input=model, capture_output=True, timeout=120, check=False)
    if done.returncode or not done.stdout.startswith(b"{"):
        raise RuntimeError(f"fall_cost.py failed: {(done.stdout + done.stderr).decode(errors='replace')}")
    cost: dict[str, float] = json.loads(done.stdout)
    return cost


def _budget(cost: dict[str, float]) -> list[Figure]:
    """Estimate the share of an ESP32 while its wearer moves without rest.

    How much slower an ESP32 is, is told by the same loop on both; the worse of plain and viper code counts for all.
    Only hardware can tell what caches, the cost of a call there, and a radio that is on add to it.
    """
    plain = ESP32_TURNS_PLAIN_US / cost["turns_plain_us"]
    viper = ESP32_TURNS_VIPER_US / cost["turns_viper_us"]
    slower = max(plain, viper)
    share = cost["feed_us_a_second"] * slower / 1e6
    how = f"ESP32 {plain:.0f} x (plain), {viper:.0f} x (viper) slower; {cost['decisions_a_second']:.2f} decisions/s"
    return [
        Figure("fall detector, of an ESP32's time while moving, estimated", round(100 * share, 2), "%", 2, peer=how),
        Figure("the I2C bus at 400 kHz, of all time while moving", round(100 * I2C_SHARE, 2), "%"),
    ]


def _code_bytes() -> int:
    with tempfile.TemporaryDirectory() as folder:
        modules = build_firmware(load_board("esp32_devkit"), Home(Path(folder))).modules
    return sum(len(data) for name, data in modules.items() if name.startswith(FOLDER))
