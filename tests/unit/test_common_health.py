from fleet_common.health import Health, Progress


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_progress_is_well_until_the_limit_and_unwell_after() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    clock.now += 10
    assert progress.why_unwell() is None
    clock.now += 1
    assert progress.why_unwell() == "no progress for 11 s (limit 10 s)"
    progress.beat()
    assert progress.why_unwell() is None


def test_silence_is_no_fault_while_nothing_is_due() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    progress.idle()
    clock.now += 1000
    assert progress.why_unwell() is None


def test_the_time_allowed_begins_when_work_comes_after_idleness() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    progress.idle()
    clock.now += 1000
    progress.expect()
    assert progress.why_unwell() is None
    clock.now += 11
    assert progress.why_unwell() is not None


def test_expecting_again_does_not_excuse_a_stall() -> None:
    clock = Clock()
    progress = Progress(10, clock)
    for _ in range(20):
        clock.now += 1
        progress.expect()
    assert progress.why_unwell() == "no progress for 20 s (limit 10 s)"


def test_one_failing_check_makes_the_whole_unwell_and_says_why() -> None:
    health = Health()
    health.register("good", lambda: None)
    health.register("bad", lambda: "stuck")
    report = health.report()
    assert not report.well
    assert report.failing == {"bad": "stuck"}
    assert report.passing == ("good",)


def test_what_a_restart_would_not_cure_is_no_reason_for_one() -> None:
    health = Health()
    health.register("database", lambda: "full", elsewhere=True)
    health.register("work", lambda: None)
    assert health.report().failing == {"database": "full"}
    assert health.report_own().passing == ("work",)
    assert health.report_own().well

    health.register("work", lambda: "stuck")
    assert health.report_own().failing == {"work": "stuck"}


def test_a_process_without_failing_checks_is_well() -> None:
    assert Health().report().well


def test_readiness_is_said_by_the_service_alone() -> None:
    health = Health()
    assert not health.ready
    health.set_ready(ready=True)
    assert health.ready
    health.set_ready(ready=False)
    assert not health.ready
