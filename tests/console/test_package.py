"""What comes with the console: the files it serves are in the wheel, and the one that is not ours is the one that was looked at."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from monitor.console.showing import HERE, STATIC
from tests.console.browser import AXE
from tests.console.harness import ROOT

#: htmx.org 2.0.11, dist/htmx.min.js, and axe-core 4.14.1, axe.min.js, as npm has them.
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"
AXE_HASH = "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c"


def test_htmx_is_the_version_that_was_taken() -> None:
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (STATIC / "htmx.LICENSE").read_text()


def test_axe_is_no_part_of_the_package() -> None:
    assert hashlib.sha256(AXE.read_bytes()).hexdigest() == AXE_HASH
    assert "Mozilla Public License" in AXE.with_name("axe.LICENSE").read_text()
    assert not list(HERE.rglob("axe*"))


def test_the_wheel_has_every_template_and_file(tmp_path: Path) -> None:
    uv = shutil.which("uv")
    assert uv is not None
    subprocess.run(
        [uv, "build", "--wheel", "--offline", "-o", str(tmp_path), str(ROOT)], check=True, capture_output=True
    )
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    wanted = [path for folder in ("templates", "static") for path in (HERE / folder).iterdir()]
    assert len(wanted) > 15
    assert {f"monitor/console/{path.parent.name}/{path.name}" for path in wanted} <= names


def test_our_own_files_have_no_script_or_style_in_a_page() -> None:
    """The policy of the guard lets in files of ours alone."""
    for path in (HERE / "templates").glob("*.html"):
        text = path.read_text()
        assert "<style" not in text
        assert " style=" not in text
        assert all("src=" in part.partition(">")[0] for part in text.split("<script")[1:]), path.name
        assert "|safe" not in text
        assert "autoescape" not in text
    for path in STATIC.glob("*.js"):
        if path.name != "htmx.min.js":
            assert "eval(" not in path.read_text()
            assert "innerHTML" not in path.read_text()
