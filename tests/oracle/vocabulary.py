"""The few words that the strategies of histories.py draw from."""

from __future__ import annotations

from typing import Any

from oracle.settings import DAY, HOUR, MICROS, MINUTE

# 23:40 UTC, so that half an hour later is another day.
BEGIN = 1_772_408_400 * MICROS
NOW = BEGIN + 58 * DAY

KINDS = ("pageview", "engagement", "call")
ACCOUNTS = ["shop", "shop", "shop", "clinic"]
VISITORS = ["v1", "v2", "v3"]
# The last, which a session without id would get too, is only named by calls.
SESSION_IDS = [None] * 6 + ["s1", "s1", "s2", f"v1-{BEGIN // 1000}"]
EVENT_IDS = [None, "e1", "e2", ""]
NUMBERS = ["+4570101010", "70 10 10 10", "+4570202020", "tel:70202020", "+4570303030", "112"]
CALLERS = [
    "+4520202020",
    "20 20 20 20",
    "sip:+4520202020@pbx.example",
    "+4530303030",
    "Anonymous",
    "266696687",
    "sip:unknown@anonymous.invalid",
    None,
    "12",
    "12345",
]
CUSTOMERS = ["+4520202020", "20202020", "30 30 30 30", "12345"]
AGENTS = [
    None,
    None,
    None,
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
]
URLS = [
    "https://www.shop.dk/",
    "https://www.shop.dk/?utm_source=News&utm_medium=Email&utm_campaign=May&utm_term=Ladder",
    "https://www.shop.dk/a?b=c&gclid=G1&utm_campaign=Summer+Shop#top",
    "https://user:pw@www.shop.dk/?fbclid=F1&dclid=D1&UTM_SOURCE=",
    "https://www.shop.dk/?fbclid=F2",
    "https://www.shop.dk/?msclkid=M1&utm_source=Bing&utm_content=A%20b",
]
REFERRERS = [
    None,
    None,
    "https://www.google.com/",
    "https://www.google.dk/search?q=Red+Ladder&hl=da&gclid=G2",
    "https://www.google.com/maps/place/x",
    "https://duckduckgo.com/",
    "https://m.facebook.com/l.php?u=1",
    "https://www.youtube.com/watch?v=1",
    "https://chatgpt.com/",
    "https://x.com/i/grok?conversation=1",
    "https://x.com/someone",
    "https://blog.example.co.uk:8080/post?id=1#c",
    "https://pay.bank.dk/return",
    "https://shop.dk/cart",
    "android-app://com.google.android.googlequicksearchbox/https/www.google.com",
    "android-app://org.example.app/",
    "not a url",
    "http://192.168.1.7/intranet",
]
CONSENTS = [None] * 6 + [
    ["analytics", "marketing"],
    ["Analytics"],
    "analytics",
    ["marketing"],
    [],
    ["analytics", 7.5, ""],
    True,
]
EDGES = [0, 1, MINUTE, 10 * MINUTE, 29 * MINUTE, 30 * MINUTE, 30 * MINUTE + 1, 45 * MINUTE]
LONG_EDGES = [HOUR, DAY, DAY + 1, 2 * DAY, 7 * DAY, 7 * DAY + 1, 30 * DAY, 30 * DAY + 1]
BLOCKS = [0, 0, 0, 30 * MINUTE, DAY, DAY + 30 * MINUTE + 1, 7 * DAY, 30 * DAY]

# A display, nobody and a kept number weigh the same where a call follows at once.
LEVEL: dict[str, Any] = {
    "call_probability": 1.0,
    "delay_means": [86400],
    "delay_weights": [1.0],
    "background_calls_per_day": 1.0,
    "saved_number_calls_per_day": 1.0,
    "known_caller_factor": 1.0,
}
