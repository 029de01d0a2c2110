"""Keys: how they are read, what they seal, and that nothing shows them."""

from __future__ import annotations

import base64
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from esinfer.stores.errors import StoreError
from esinfer.stores.sealing import OPEN, Keys, Sealed, UnsealError, read_key_file, read_keys

ONE, OTHER = bytes(range(32)), bytes(range(1, 33))
IDS = st.text("abc-_.09", min_size=1)


@given(IDS, st.binary())
def test_what_was_sealed_is_unsealed(inference_id: str, content: bytes) -> None:
    keys = Keys([ONE])
    sealed = keys.seal(inference_id, content)
    assert keys.unseal(inference_id, sealed) == content
    assert Keys([OTHER, ONE]).unseal(inference_id, sealed) == content
    assert len(sealed.content) == len(content) + 12 + 16


def test_the_same_content_is_sealed_differently_each_time() -> None:
    keys = Keys([ONE])
    assert len({keys.seal("id", b"x").content for _ in range(100)}) == 100


def test_the_first_key_seals() -> None:
    ours, theirs = Keys([ONE]), Keys([OTHER])
    assert Keys([OTHER, ONE]).current == theirs.current != ours.current
    assert ONE.hex() not in ours.current


def test_without_a_key_content_is_stored_as_it_is() -> None:
    keys = Keys()
    sealed = keys.seal("id", b"x")
    assert sealed == Sealed(key_id=OPEN, content=b"x")
    assert Keys([ONE]).unseal("id", sealed) == b"x"


def test_what_was_not_sealed_so_is_not_unsealed() -> None:
    keys = Keys([ONE])
    sealed = keys.seal("id", b"content")
    flipped = bytes([*sealed.content[:-1], sealed.content[-1] ^ 1])
    for inference_id, changed in (
        ("other", sealed),
        ("id", replace(sealed, content=flipped)),
        ("id", replace(sealed, content=b"")),
        ("id", replace(sealed, key_id=Keys([OTHER]).current)),
    ):
        with pytest.raises(UnsealError):
            keys.unseal(inference_id, changed)


def test_content_is_in_no_repr() -> None:
    assert "hf_secret" not in repr(Keys().seal("id", b"hf_secret"))


def test_a_store_with_a_stranger_among_its_keys_is_refused() -> None:
    sealed_by = Keys([ONE]).current
    Keys([ONE]).check([OPEN, sealed_by])
    Keys([OTHER, ONE]).check([sealed_by])
    Keys().check([])
    for keys in (Keys(), Keys([OTHER])):
        with pytest.raises(StoreError, match=r"^the secrets in the store are encrypted"):
            keys.check([OPEN, sealed_by])


def text(key: bytes) -> str:
    return base64.b64encode(key).decode()


@pytest.mark.parametrize(
    "written",
    [
        f"{text(ONE)},{text(OTHER)}",
        f" {text(ONE)} , {text(OTHER)} ",
        f"# of May\n{text(ONE)}  # encrypts\n\n{text(OTHER)}\n",
        f"{base64.urlsafe_b64encode(ONE).decode()}\r\n{text(OTHER)}",
    ],
)
def test_keys_are_read(written: str, tmp_path: Path) -> None:
    assert read_keys(written, "store.key") == [ONE, OTHER]
    file = tmp_path / "keys"
    file.write_text(written)
    assert read_key_file(file) == [ONE, OTHER]


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("secret", "store.key: key 1 must be 32 bytes in base64, as"),
        (f"{text(ONE)},{text(ONE[:-1])}", "store.key: key 2 must be 32 bytes in base64, as"),
        (f"{text(ONE)}ä", "store.key: key 1 must be 32 bytes"),
        ("  ", "store.key: there is no key; a key is 32 bytes"),
        ("# none", "store.key: there is no key"),
    ],
)
def test_what_is_no_key_is_refused_and_not_shown(written: str, problem: str) -> None:
    with pytest.raises(StoreError) as caught:
        read_keys(written, "store.key")
    assert str(caught.value).startswith(problem)
    assert "secret" not in str(caught.value)
    assert text(ONE) not in str(caught.value)


def test_a_key_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"^store.key_file: cannot read .*missing: No such file"):
        read_key_file(tmp_path / "missing")
    with pytest.raises(StoreError, match=r"~nobody-of-that-name/keys: no such home directory$"):
        read_key_file(Path("~nobody-of-that-name/keys"))
    file = tmp_path / "binary"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(StoreError, match=r"binary: it is no UTF-8 text$"):
        read_key_file(file)


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers", None)
    Keys()
    with pytest.raises(StoreError, match=r"pip install 'esinfer\[encryption\]'"):
        Keys([ONE])
