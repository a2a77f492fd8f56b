"""Formats as routers print them; the vectors are from captures and public exporters."""

import pytest

from fleet_poller.parse import scalars


@pytest.mark.parametrize(
    ("printed", "seconds"),
    [
        (b"3d3h42m53s", 272_573),
        (b"15w3d3h42m53s", 9_344_573),
        (b"42m53s", 2_573),
        (b"7w6d9h34m", 4_786_440),
        (b"4d15h20m38s", 400_838),
        (b"1w2d3h", 788_400),
        (b"01:22:53", 4_973),
        (b"1d02:03:04", 93_784),
        (b"00:00:00", 0),
        (b"0s", 0),
        (b"170ms", 0),
        (b"5m170ms", 300),
    ],
)
def test_durations_in_every_form(printed: bytes, seconds: int) -> None:
    assert scalars.duration_seconds(printed) == seconds


def test_durations_keep_their_parts_below_a_second() -> None:
    assert scalars.duration_microseconds(b"2s310ms") == 2_310_000
    assert scalars.duration_microseconds(b"1ms500us") == 1_500
    assert scalars.duration_microseconds(b"00:00:01.5") == 1_500_000


@pytest.mark.parametrize(
    "printed",
    [None, b"", b"never", b"1x", b"-5s", b"5", b"10:5", b"s", b"9" * 5000 + b"s",
     b"9" * 5000 + b"w1d", b"9" * 5000 + b":00:00"],
    ids=lambda printed: str(printed)[:12],
)  # fmt: skip
def test_what_is_no_duration_is_absent(printed: bytes | None) -> None:
    assert scalars.duration_seconds(printed) is None


def test_dates_of_both_generations() -> None:
    assert scalars.router_time(b"sep/30/2024 21:35:18") == 1_727_732_118
    assert scalars.router_time(b"2026-06-23 14:58:07") == 1_782_226_687


@pytest.mark.parametrize(
    "printed",
    [
        None,
        b"",
        b"2026-13-01 00:00:00",
        b"foo/30/2024 21:35:18",
        b"21:35:18",
        b"0000-01-01 00:00:00",
        b"jan/01/0000 00:00:00",
        b"1969-12-31 23:59:59",
        b"9999-12-31 23:59:60",
    ],
)
def test_what_is_no_date_is_absent(printed: bytes | None) -> None:
    assert scalars.router_time(printed) is None


@pytest.mark.parametrize(
    ("printed", "value"),
    [(b"true", True), (b"yes", True), (b"false", False), (b"no", False), (b"", None), (None, None)],
)
def test_booleans(printed: bytes | None, value: object) -> None:
    assert scalars.boolean(printed) is value


@pytest.mark.parametrize(
    ("printed", "version", "channel"),
    [
        (b"7.16.1 (stable)", "7.16.1", "stable"),
        (b"6.47.9 (long-term)", "6.47.9", "long-term"),
        (b"6.27", "6.27", ""),
        (b"7.25beta5 (development)", "7.25beta5", "development"),
        (b"7.24rc1", "7.24rc1", ""),
        (b"", "", ""),
    ],
)
def test_versions(printed: bytes, version: str, channel: str) -> None:
    assert scalars.version_and_channel(printed) == (version, channel)


@pytest.mark.parametrize(
    ("printed", "dbm"),
    [(b"-62@1Mbps", -62), (b"-76", -76), (b"-47@54Mbps-20MHz/1S", -47), (b"17dBm", 17)],
)
def test_signals(printed: bytes, dbm: int) -> None:
    assert scalars.signal_dbm(printed) == dbm


@pytest.mark.parametrize(
    ("printed", "rate"),
    [
        (b"72.2Mbps-20MHz/1S/SGI", 72_200_000),
        (b"26Mbps-20MHz/2S", 26_000_000),
        (b"54000000", 54_000_000),
        (b"1Gbps", 1_000_000_000),
        (b"2.5Gbps", 2_500_000_000),
        (b"100Mbps", 100_000_000),
        (b"866.6Mbps-80MHz/2S/SGI", 866_600_000),
    ],
)
def test_rates(printed: bytes, rate: int) -> None:
    assert scalars.rate_bits_per_second(printed) == rate


def test_pairs_are_tx_then_rx() -> None:
    assert scalars.pair(b"59542,17464") == (59_542, 17_464)
    assert scalars.pair(b"59542") == (None, None)
    assert scalars.pair(b"x,5") == (None, 5)


def test_text_is_utf8_or_else_latin1_and_never_lost() -> None:
    assert scalars.text("Büro-Wärme".encode()) == "Büro-Wärme"
    assert scalars.text(b"caf\xe9") == "café"
    assert scalars.text(None) == ""


def test_numbers_at_their_bounds() -> None:
    assert scalars.unsigned(b"18446744073709551615") == 2**64 - 1
    assert scalars.unsigned(b"18446744073709551616") is None
    assert scalars.unsigned32(b"4294967296") is None
    assert scalars.unsigned(b"0012") == 12
    assert scalars.unsigned(b"-1") is None
    assert scalars.unsigned(b"1_000") is None
    assert scalars.unsigned(b"auto") is None


def test_sensors_are_exact_thousandths() -> None:
    assert scalars.thousandths(b"23.9") == 23_900
    assert scalars.thousandths(b"-0.5") == -500
    assert scalars.thousandths(b"42") == 42_000
    assert scalars.thousandths(b"1.23456") == 1_234
    assert scalars.thousandths(b"ok") is None


def test_ids_and_addresses() -> None:
    assert scalars.record_id(b"*1A") == 26
    assert scalars.record_id(b"*80000001") == 0x8000_0001
    assert scalars.record_id(b"1A") is None
    assert scalars.mac_address(b"48:A9:8A:79:D2:01") == bytes.fromhex("48a98a79d201")
    assert scalars.mac_address(b"48:A9:8A:79:D2") is None
