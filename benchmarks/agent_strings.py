"""About 2,000 distinct user agent strings in the forms real browsers and crawlers send."""

import numpy as np

_CHROME_MAJORS = range(112, 150)
_ANDROID_MODELS = (
    "SM-G991B", "SM-S911B", "SM-S918B", "SM-S921B", "SM-S928B", "SM-A546B", "SM-A536B",
    "SM-A525F", "SM-A346B", "SM-A155F", "SM-F731B", "SM-X710", "SM-T870", "Pixel 6", "Pixel 6a",
    "Pixel 7", "Pixel 7 Pro", "Pixel 8", "Pixel 8a", "Pixel 9", "2201116SG", "22101316G",
    "23021RAA2Y", "23049PCD8G", "2312DRA50G", "M2101K6G", "CPH2269", "CPH2581", "CPH2609",
    "ONEPLUS A6013", "LE2113", "XQ-DC54", "moto g54 5G", "moto g(30)", "Nokia G21", "VOG-L29",
    "ELS-NX9", "RMX3363", "V2202",
)  # fmt: skip
_IOS_VERSIONS = (
    "15_8", "16_1", "16_3_1", "16_5", "16_6_1", "16_7_8", "17_0_3", "17_1_2", "17_2_1", "17_3",
    "17_4_1", "17_5_1", "17_6_1", "18_0_1", "18_1_1", "18_2", "18_3_1", "18_4", "18_5", "18_6",
)  # fmt: skip
_IPHONE_MODELS = (
    "iPhone12,1", "iPhone13,2", "iPhone14,5", "iPhone15,2", "iPhone15,4", "iPhone16,1", "iPhone17,3"
)  # fmt: skip
_CRAWLERS = """\
Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)
Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)
Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)
Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)
Mozilla/5.0 (compatible; SemrushBot/7~bl; +http://www.semrush.com/bot.html)
AdsBot-Google (+http://www.google.com/adsbot.html)
facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)
DuckDuckBot/1.1; (+http://duckduckgo.com/duckduckbot.html)
""".splitlines()
_WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"
_APPLE_WEBKIT = "AppleWebKit/605.1.15 (KHTML, like Gecko)"


def _android() -> list[str]:
    agents = [
        f"Mozilla/5.0 (Linux; Android 10; K) {_WEBKIT} Chrome/{major}.0.0.0 Mobile Safari/537.36"
        for major in _CHROME_MAJORS
    ]
    agents += [
        f"Mozilla/5.0 (Linux; Android {11 + index % 5}; {model}) {_WEBKIT} "
        f"Chrome/{major}.0.{5000 + 30 * major}.{40 + index} Mobile Safari/537.36"
        for major in _CHROME_MAJORS
        for index, model in enumerate(_ANDROID_MODELS)
        if (index + major) % 4
    ]
    agents += [
        f"Mozilla/5.0 (Linux; Android {12 + index % 4}; SAMSUNG {model}) {_WEBKIT} "
        f"SamsungBrowser/{release}.0 Chrome/{97 + release}.0.0.0 Mobile Safari/537.36"
        for release in range(18, 29)
        for index, model in enumerate(_ANDROID_MODELS[:13])
    ]
    return agents


def _apple_mobile() -> list[str]:
    agents = []
    for version in _IOS_VERSIONS:
        dotted = ".".join(version.split("_")[:2])
        phone = f"Mozilla/5.0 (iPhone; CPU iPhone OS {version} like Mac OS X) {_APPLE_WEBKIT}"
        pad = f"Mozilla/5.0 (iPad; CPU OS {version} like Mac OS X) {_APPLE_WEBKIT}"
        agents.append(f"{phone} Version/{dotted} Mobile/15E148 Safari/604.1")
        agents.append(f"{pad} Version/{dotted} Mobile/15E148 Safari/604.1")
        agents += [
            f"{phone} CriOS/{major}.0.6478.54 Mobile/15E148 Safari/604.1"
            for major in (118, 124, 129, 133, 137)
        ]
        agents += [f"{phone} GSA/{build}.0 Mobile/15E148 Safari/604.1" for build in (325, 343, 366)]
        agents += [
            f"{phone} Mobile/15E148 [FBAN/FBIOS;FBAV/{release}.0.0.33.108;FBDV/{model};FBMD/iPhone;"
            f"FBSN/iOS;FBSV/{dotted};FBSS/3;FBLC/da_DK]"
            for release in (478, 512)
            for model in _IPHONE_MODELS
        ]
    return agents


def _desktop() -> list[str]:
    windows, mac = "Windows NT 10.0; Win64; x64", "Macintosh; Intel Mac OS X 10_15_7"
    systems = (windows, mac, "X11; Linux x86_64")
    agents = [
        f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{major}.0.0.0 Safari/537.36"
        for major in _CHROME_MAJORS
        for system in systems
    ]
    agents += [
        f"Mozilla/5.0 ({system}) {_WEBKIT} Chrome/{major}.0.0.0 Safari/537.36 Edg/{major}.0.{patch}"
        for major in _CHROME_MAJORS
        for system, patch in zip(systems, ("2903.86", "3065.59"), strict=False)
    ]
    agents += [
        f"Mozilla/5.0 ({system}; rv:{major}.0) Gecko/20100101 Firefox/{major}.0"
        for major in range(115, 142)
        for system in systems
    ]
    agents += [
        f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {_APPLE_WEBKIT} "
        f"Version/{major}.{minor} Safari/605.1.15"
        for major in (16, 17, 18)
        for minor in range(7)
    ]
    return agents


def agent_strings() -> tuple[list[str], np.ndarray]:
    """The strings, and the share of visitors each has: a few are common, most are rare."""
    agents: list[str] = []
    shares: list[np.ndarray] = []
    for group, share in ((_android(), 0.33), (_apple_mobile(), 0.30), (_desktop(), 0.36)):
        order = np.random.default_rng(len(group)).permutation(len(group))
        weights = 1.0 / (1.0 + order)
        agents += group
        shares.append(share * weights / weights.sum())
    agents += _CRAWLERS
    shares.append(np.full(len(_CRAWLERS), 0.01 / len(_CRAWLERS)))
    return agents, np.concatenate(shares)
