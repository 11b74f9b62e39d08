"""pip's configuration, as uv is told of it."""

from pathlib import Path

import pytest

from jupyter_mlprod.core.indexes import has_own_index, pip_files, pip_options, uv_environ

MIRROR = "https://user:word@mirror.example/simple"


def test_later_files_and_then_variables_win_and_install_goes_before_global() -> None:
    texts = [
        "[global]\nindex-url = https://a.example\ncert = /c.pem\n[install]\nfind_links = /here\n",
        "[global]\nindex-url = https://b.example\n",
    ]
    assert pip_options(texts, {}) == {"index-url": "https://b.example", "cert": "/c.pem", "find-links": "/here"}
    assert pip_options(texts, {"PIP_INDEX_URL": MIRROR, "PIP_FIND_LINKS": ""})["index-url"] == MIRROR
    assert (
        pip_options(["[install]\nindex-url = https://a.example\n", "[global]\nindex-url = https://b.example\n"], {})["index-url"]
        == "https://a.example"
    )


def test_every_index_of_pip_is_told_to_uv() -> None:
    options = {
        "index-url": MIRROR,
        "extra-index-url": "https://b.example\nfile:///c",
        "find-links": "/d https://e.example",
        "cert": "/c.pem",
    }
    told = uv_environ(options, {}, remote_only=False)
    assert told.pop("UV_INDEX_STRATEGY") == "unsafe-best-match"
    assert told == {
        "UV_DEFAULT_INDEX": MIRROR, "UV_INDEX": "https://b.example file:///c", "UV_FIND_LINKS": "/d,https://e.example", "SSL_CERT_FILE": "/c.pem",
    }  # fmt: skip


def test_a_lock_asks_no_folder_of_this_machine() -> None:
    options = {"index-url": "file:///a", "extra-index-url": "https://b.example file:///c", "find-links": "/d"}
    told = uv_environ(options, {}, remote_only=True)
    assert told == {"UV_INDEX": "https://b.example", "UV_INDEX_STRATEGY": "unsafe-best-match"}


@pytest.mark.parametrize("variable", ["UV_DEFAULT_INDEX", "UV_INDEX", "UV_OFFLINE"])
def test_what_uv_was_told_itself_goes_before_what_pip_was_told(variable: str) -> None:
    assert uv_environ({"index-url": MIRROR}, {variable: "1"}, remote_only=True) == {}
    assert has_own_index({}, {variable: "1"})


def test_only_an_index_over_the_network_makes_urls_private() -> None:
    assert has_own_index({"index-url": MIRROR}, {})
    assert has_own_index({"find-links": "/a https://b.example"}, {})
    assert not has_own_index({"extra-index-url": "file:///a", "find-links": "/b"}, {})


def test_pip_reads_no_file_when_it_is_told_to_read_none(tmp_path: Path) -> None:
    assert pip_files({"PIP_CONFIG_FILE": "/dev/null"}, home=tmp_path, prefix=tmp_path) == ()
    assert pip_files({"PIP_CONFIG_FILE": "/own"}, home=tmp_path, prefix=tmp_path)[-1] == Path("/own")
