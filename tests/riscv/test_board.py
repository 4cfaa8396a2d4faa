import pytest

from tests.riscv.bare import run_bare

pytestmark = pytest.mark.slow

TRAPPED = 70


@pytest.mark.parametrize("cores", [1, 2, 4, 8])
def test_every_piece_is_done_once_on_any_number_of_cores(tmp_path, repository, cores):
    done = run_bare(
        tmp_path,
        repository,
        """
        static uint8_t times[100], by[100];
        static void piece(void *arg, uint32_t i) {
            uint32_t hart;
            (void)arg;
            BT_CSR_READ("mhartid", hart);
            times[i]++;
            by[i] = (uint8_t)hart;
        }
        int main(void) {
            static bt_port port;
            port.cores = bt_argument("cores", 0);
            for (uint32_t count = 0; count <= 100; count++)
                for (uint32_t round = 0; round < 20; round++) {
                    memset(times, 0, sizeof times);
                    bt_port_parallel(&port, piece, NULL, count);
                    for (uint32_t i = 0; i < 100; i++)
                        if (times[i] != (i < count) || (i < count && by[i] != (count == 1 ? 0 : i % port.cores)))
                            bt_exit(1);
                }
            bt_say("every piece once");
            bt_exit(0);
        }
        """,
        cores,
    )
    assert (done.returncode, done.stdout) == (0, "every piece once\n"), done.stderr


@pytest.mark.parametrize(
    ("what", "statement", "cause"),
    [
        ("behind L1", "*(volatile char *)(0x80100000 + 131072) = 1;", 7),
        ("behind L2", "*(volatile char *)(0x80200000 + 1503232) = 1;", 7),
        ("behind L3", "*(volatile char *)(0x80400000 + 8003584) = 1;", 7),
        ("below the controller's stack", "*(volatile char *)(0x80200000 - 4) = 1;", 7),
        ("into the code", "*(volatile char *)0x80000000 = 1;", 7),
        ("to nowhere", "*(volatile char *)0 = 1;", 7),
        ("from a hole", "(void)*(volatile char *)(0x80300000 + 524288);", 5),
    ],
)
def test_what_gap9_does_not_have_cannot_be_touched(tmp_path, repository, what, statement, cause):
    done = run_bare(tmp_path, repository, f"int main(void) {{ {statement} bt_exit(0); }}")
    assert done.returncode == TRAPPED, what
    assert f"trap, cause 0x{cause:08x} at 0x8000" in done.stderr


def test_the_last_byte_of_each_level_can_be_used(tmp_path, repository):
    last = " ".join(
        f"*(volatile char *)(0x{start:x} + {size} - 1) = 1;"
        for start, size in ((0x80100000, 128_000), (0x80200000, 1_500_000), (0x80400000, 8_000_000))
    )
    done = run_bare(tmp_path, repository, f"int main(void) {{ {last} bt_exit(0); }}")
    assert done.returncode == 0, done.stderr


def test_a_stack_that_runs_over_is_noticed(tmp_path, repository):
    program = """
        static int deeper(volatile int *above) {
            volatile int here[64];
            here[0] = *above + 1;
            return deeper(here) + here[0];
        }
        int main(void) { volatile int start = 0; bt_exit(deeper(&start)); }
    """
    done = run_bare(tmp_path, repository, program)
    assert done.returncode == TRAPPED
    assert "trap" in done.stderr


def test_memory_functions_move_and_set_what_they_should_at_any_alignment(tmp_path, repository):
    program = """
    static uint8_t a[96], b[96], want[96];
    static int differs(void) { for (int i = 0; i < 96; i++) if (a[i] != want[i]) return 1; return 0; }
    static void fill(void) {
        for (int i = 0; i < 96; i++) a[i] = want[i] = (uint8_t)(7 * i), b[i] = (uint8_t)(200 - i);
    }
    int main(void) {
        for (int to = 0; to < 6; to++) for (int from = 0; from < 6; from++) for (int n = 0; n <= 80; n++) {
            fill();
            for (volatile int i = 0; i < n; i++) want[to + i] = b[from + i];
            memcpy(a + to, b + from, (size_t)n);
            if (differs()) bt_exit(11);
            fill();
            for (volatile int i = 0; i < n; i++) want[to + i] = (uint8_t)(7 * (from + i));
            memmove(a + to, a + from, (size_t)n);
            if (differs()) bt_exit(12);
            fill();
            for (volatile int i = 0; i < n; i++) want[to + i] = (uint8_t)(from + 250);
            memset(a + to, from + 250, (size_t)n);
            if (differs()) bt_exit(13);
        }
        bt_exit(0);
    }
    """
    done = run_bare(tmp_path, repository, program)
    assert (done.returncode, done.stderr) == (0, "")
