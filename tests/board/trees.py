"""The files by which seven machines tell of themselves, as their kernels lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

Tree = dict[str, str]  # path: content

CPU = "sys/devices/system/cpu"


def build(root: Path, tree: Mapping[str, str]) -> Path:
    """Write the files below `root`; returns it."""
    for path, content in tree.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content, encoding="utf-8")
    return root


def cores(count: int, governor: str, khz: tuple[int, int, int], clusters: int = 1) -> Tree:
    """khz: now, least, most."""
    tree = {f"{CPU}/online": f"0-{count - 1}\n"}
    folders = [f"{CPU}/cpu{n}/cpufreq" for n in range(count)]
    folders += [f"{CPU}/cpufreq/policy{n * count // clusters}" for n in range(clusters)]
    for folder in folders:
        tree[f"{folder}/scaling_governor"] = f"{governor}\n"
        for name, value in zip(("cur", "min", "max"), khz, strict=True):
            tree[f"{folder}/scaling_{name}_freq"] = f"{value}\n"
    return tree


def gpu(device: str, hz: tuple[int, int, int], governor: str) -> Tree:
    folder = f"sys/class/devfreq/{device}"
    names = ("cur_freq", "min_freq", "max_freq")
    tree = {f"{folder}/{name}": f"{value}\n" for name, value in zip(names, hz, strict=True)}
    return tree | {f"{folder}/governor": f"{governor}\n"}


def zones(**millidegrees: int) -> Tree:
    tree = {}
    for n, (name, value) in enumerate(millidegrees.items()):
        tree[f"sys/class/thermal/thermal_zone{n}/type"] = name.replace("_", "-") + "\n"
        tree[f"sys/class/thermal/thermal_zone{n}/temp"] = f"{value}\n"
    return tree


def cooling(*names: str) -> Tree:
    """Devices at rest, but for the fan."""
    tree = {}
    for n, name in enumerate(names):
        tree[f"sys/class/thermal/cooling_device{n}/type"] = f"{name}\n"
        tree[f"sys/class/thermal/cooling_device{n}/cur_state"] = f"{2 * (name == 'pwm-fan')}\n"
    return tree


def ina3221(hwmon: int, *rails: tuple[str, int, int]) -> Tree:
    """rails: label, mV, mA; the chip's fourth to seventh inputs are those of its shunts."""
    folder = f"sys/class/hwmon/hwmon{hwmon}"
    tree = {f"{folder}/name": "ina3221\n"}
    for n, (label, millivolts, milliamperes) in enumerate(rails, 1):
        tree[f"{folder}/in{n}_label"] = f"{label}\n"
        tree[f"{folder}/in{n}_input"] = f"{millivolts}\n"
        tree[f"{folder}/curr{n}_input"] = f"{milliamperes}\n"
        tree[f"{folder}/in{n + 3}_input"] = "120\n"
    tree[f"{folder}/in7_label"] = "sum of shunt voltages\n"
    tree[f"{folder}/in7_input"] = "360\n"
    return tree


def iio(address: str, *rails: tuple[str, int]) -> Tree:
    """rails: name, mW; the layout of JetPack 4."""
    folder = f"sys/bus/i2c/drivers/ina3221x/{address}/iio:device0"
    tree = {}
    for n, (name, milliwatts) in enumerate(rails):
        tree[f"{folder}/rail_name_{n}"] = f"{name}\n"
        tree[f"{folder}/in_power{n}_input"] = f"{milliwatts}\n"
        tree[f"{folder}/in_voltage{n}_input"] = "5000\n"
        tree[f"{folder}/in_current{n}_input"] = f"{milliwatts // 5}\n"
    return tree


def rapl(zone: str, name: str, microjoules: int) -> Tree:
    folder = f"sys/class/powercap/{zone}"
    return {
        f"{folder}/name": f"{name}\n",
        f"{folder}/energy_uj": f"{microjoules}\n",
        f"{folder}/max_energy_range_uj": "262143328850\n",
    }


def arm_cpuinfo(count: int, maker: str, part: str, tail: str = "", head: str = "") -> str:
    core = f"{head}BogoMIPS\t: 62.50\nFeatures\t: fp asimd\nCPU implementer\t: {maker}\n"
    core += f"CPU architecture: 8\nCPU part\t: {part}\nCPU revision\t: 1\n\n"
    return "".join(f"processor\t: {n}\n{core}" for n in range(count)) + tail


def system(kernel: str, kilobytes: int, cpuinfo: str) -> Tree:
    return {
        "proc/sys/kernel/osrelease": f"{kernel}\n",
        "proc/meminfo": f"MemTotal:       {kilobytes} kB\nMemFree:  1000 kB\n",
        "proc/cpuinfo": cpuinfo,
    }


def device_tree(model: str, *compatible: str) -> Tree:
    return {
        "proc/device-tree/model": f"{model}\0",
        "proc/device-tree/compatible": "".join(f"{each}\0" for each in compatible),
    }


def l4t(release: int, revision: str) -> Tree:
    line = f"# R{release} (release), REVISION: {revision}, GCID: 1, BOARD: t186ref, EABI: aarch64"
    return {"etc/nv_tegra_release": f"{line}, DATE: Wed Jan  8 01:49:37 UTC 2025\n"}


def nvpmodel(mode: int, *names: str) -> Tree:
    lines = [f"< POWER_MODEL ID={n} NAME={name} >\nCPU_ONLINE CORE_0 1\n" for n, name in
             enumerate(names)]  # fmt: skip
    return {
        "etc/nvpmodel.conf": "".join(lines) + "< PM_CONFIG DEFAULT=0 >\n",
        "var/lib/nvpmodel/status": f"pmode:{mode:04d} fmode:fanNull\n",
    }


def throttled(folder: str, flags: int) -> Tree:
    return {f"sys/devices/platform/{folder}/get_throttled": f"{flags:x}\n"}


ORIN_COOLING = (
    "cpufreq-cpu0",
    "devfreq-17000000.gpu",
    "pwm-fan",
    "cpu-throttle-alert",
    "gpu-throttle-alert",
    "soc0-throttle-alert",
    "hot-surface-alert",
)
NANO_COOLING = ("cpu-balanced", "gpu-balanced", "emergency-balanced", "pwm-fan")

NANO = {
    **device_tree("NVIDIA Jetson Nano Developer Kit", "nvidia,p3449-0000-b00", "nvidia,tegra210"),
    **system("4.9.337-tegra", 4059256, arm_cpuinfo(4, "0x41", "0xd07")),
    **l4t(32, "7.4"),
    **nvpmodel(0, "MAXN", "5W"),
    **cores(4, "schedutil", (1479000, 102000, 1479000)),
    **gpu("57000000.gpu", (76800000, 76800000, 921600000), "nvhost_podgov"),
    **zones(AO_therm=51500, CPU_therm=43000, GPU_therm=42000, PLL_therm=41000, PMIC_Die=100000),
    **cooling(*NANO_COOLING),
    **iio("6-0040", ("POM_5V_IN", 4812), ("POM_5V_GPU", 130), ("POM_5V_CPU", 1900)),
}
XAVIER_NX = {
    **device_tree("NVIDIA Jetson Xavier NX Developer Kit", "nvidia,p3668", "nvidia,tegra194"),
    **system("5.10.216-tegra", 6903084, arm_cpuinfo(6, "0x4e", "0x004")),
    **l4t(35, "6.0"),
    **nvpmodel(2, "MODE_15W_2CORE", "MODE_15W_4CORE", "MODE_15W_6CORE"),
    **cores(6, "schedutil", (1190400, 115200, 1420800), clusters=3),
    **gpu("17000000.gv11b", (114750000, 114750000, 1109250000), "nvhost_podgov"),
    **zones(CPU_therm=38500, GPU_therm=37000, AUX_therm=37500, AO_therm=38000, PMIC_Die=50000),
    **cooling("pwm-fan", "cpufreq-cpu0", "devfreq-17000000.gv11b", "cpu-throttle-alert"),
    **ina3221(4, ("VDD_IN", 4960, 968), ("VDD_CPU_GPU_CV", 4960, 128), ("VDD_SOC", 4960, 232)),
}
ORIN_NANO = {
    **device_tree(
        "NVIDIA Jetson Orin Nano Developer Kit",
        "nvidia,p3768-0000+p3767-0005",
        "nvidia,p3767-0005",
        "nvidia,tegra234",
    ),
    **system("5.15.148-tegra", 7802108, arm_cpuinfo(6, "0x41", "0xd42")),
    **l4t(36, "4.3"),
    **nvpmodel(2, "15W", "25W", "MAXN_SUPER", "7W"),
    **cores(6, "schedutil", (1728000, 1728000, 1728000), clusters=2),
    **gpu("17000000.gpu", (1020000000, 1020000000, 1020000000), "nvhost_podgov"),
    # The sensors of what this chip lacks are there, and off.
    **zones(cpu_thermal=52031, gpu_thermal=51968, cv0_thermal=-256000, tj_thermal=53125),
    **cooling(*ORIN_COOLING),
    **ina3221(1, ("VDD_IN", 5040, 1112), ("VDD_CPU_GPU_CV", 5040, 320), ("VDD_SOC", 5040, 288)),
    "sys/class/hwmon/hwmon2/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon2/oc1_event_cnt": "0\n",
    "sys/class/hwmon/hwmon2/oc3_event_cnt": "4\n",
}
AGX_ORIN = {
    **device_tree(
        "NVIDIA Jetson AGX Orin Developer Kit", "nvidia,p3737-0000+p3701-0005", "nvidia,tegra234"
    ),
    **system("5.10.192-tegra", 64349964, arm_cpuinfo(12, "0x41", "0xd42")),
    **l4t(35, "5.0"),
    **nvpmodel(3, "MAXN", "MODE_15W", "MODE_30W", "MODE_50W"),
    **cores(12, "schedutil", (1497600, 115200, 1497600), clusters=3),
    **gpu("17000000.ga10b", (306000000, 306000000, 816000000), "nvhost_podgov"),
    **zones(CPU_therm=48031, GPU_therm=44000, Tboard_tegra=37500, tj_therm=48031),
    **cooling(*ORIN_COOLING),
    **ina3221(
        3, ("VDD_GPU_SOC", 19920, 160), ("VDD_CPU_CV", 19920, 40), ("VIN_SYS_5V0", 4968, 640)
    ),
    **ina3221(4, ("NC", 0, 0), ("VDDQ_VDD2_1V8AO", 4968, 80), ("NC", 0, 0)),
}
PI_4 = {
    **device_tree("Raspberry Pi 4 Model B Rev 1.4", "raspberrypi,4-model-b", "brcm,bcm2711"),
    **system(
        "6.6.51+rpt-rpi-v8",
        7998764,
        arm_cpuinfo(4, "0x41", "0xd08", "Model\t\t: Raspberry Pi 4 Model B Rev 1.4\n"),
    ),
    **cores(4, "ondemand", (1800000, 600000, 1800000)),
    **zones(cpu_thermal=61342),
    **throttled("soc/soc:firmware", 0),
}
PI_5 = {
    **device_tree("Raspberry Pi 5 Model B Rev 1.0", "raspberrypi,5-model-b", "brcm,bcm2712"),
    **system(
        "6.6.51+rpt-rpi-2712",
        8256656,
        arm_cpuinfo(4, "0x41", "0xd0b", "Model\t\t: Raspberry Pi 5 Model B Rev 1.0\n"),
    ),
    **cores(4, "ondemand", (2400000, 1500000, 2400000)),
    **zones(cpu_thermal=55650),
    **cooling("pwm-fan"),
    **throttled("soc@107c000000/soc@107c000000:firmware", 0),
}
PC = {
    **system(
        "6.8.0-45-generic",
        32729540,
        "processor\t: 0\nvendor_id\t: GenuineIntel\n"
        "model name\t: Intel(R) Core(TM) i7-8700 CPU @ 3.20GHz\ncpu MHz\t\t: 800.000\n"
        "flags\t\t: fpu avx2\n\n",
    ),
    **cores(4, "powersave", (4300000, 800000, 4600000), clusters=4),
    **zones(acpitz=27800, x86_pkg_temp=61000),
    **cooling("Processor", "Processor", "intel_powerclamp"),
    **rapl("intel-rapl:0", "package-0", 1_000_000),
    **rapl("intel-rapl:0:0", "core", 700_000),
    **rapl("intel-rapl:0:1", "dram", 200_000),
    **rapl("intel-rapl:1", "psys", 9_000_000),
    **rapl("intel-rapl-mmio:0", "package-0", 1_000_000),
    "sys/class/dmi/id/sys_vendor": "LENOVO\n",
    "sys/class/dmi/id/product_name": "ThinkStation P330\n",
    "sys/class/hwmon/hwmon1/name": "coretemp\n",
    "sys/class/hwmon/hwmon1/temp1_label": "Package id 0\n",
    "sys/class/hwmon/hwmon1/temp1_input": "61500\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "7\n",
    f"{CPU}/cpu0/thermal_throttle/package_throttle_count": "7\n",
    f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "0\n",
}

BOARDS: dict[str, Tree] = {
    "Nano": NANO,
    "Xavier NX": XAVIER_NX,
    "Orin Nano": ORIN_NANO,
    "AGX Orin": AGX_ORIN,
    "Pi 4": PI_4,
    "Pi 5": PI_5,
    "PC": PC,
}
