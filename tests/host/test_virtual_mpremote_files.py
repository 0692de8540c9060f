"""What people do to a device's files with mpremote: trees, large files, folders, mounts, mistakes."""

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from peer_kit import lasting_board, mpremote

from ansim.virtual import VirtualBoard


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualBoard]:
    with lasting_board(tmp_path_factory.mktemp("files"), {"note.txt": "kept\n"}) as made:
        yield made


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A package with folders in folders, an empty folder, an empty file, bytes of all values, a name beyond ASCII."""
    root = tmp_path / "tree"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "__init__.py").write_text("from .sub.words import WORD\n")
    (root / "sub" / "__init__.py").write_text("")
    (root / "sub" / "words.py").write_text("WORD = '안심'\n")
    (root / "sub" / "deep" / "all.bin").write_bytes(bytes(range(256)) * 11)
    (root / "sub" / "ünï.txt").write_text("x")
    return root


def content(folder: Path) -> dict[str, bytes | None]:
    """Return what is below a folder: path to content, None for a folder."""
    found = sorted(folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in found}


def test_a_tree_goes_there_and_back_as_it_was(board: VirtualBoard, tree: Path, tmp_path: Path) -> None:
    mpremote(board, "cp", "-r", tree, ":")
    assert "words.py" in mpremote(board, "fs", "tree")
    mpremote(board, "cp", "-r", ":tree", tmp_path / "back")
    assert content(tmp_path / "back") == content(tree)
    assert mpremote(board, "exec", "import tree; print(tree.WORD)").strip() == "안심"
    mpremote(board, "rm", "-r", ":tree")
    assert "tree" not in mpremote(board, "ls").splitlines()[-1]


def test_a_second_copy_sends_what_changed_only(board: VirtualBoard, tree: Path) -> None:
    mpremote(board, "cp", "-r", tree, ":second")
    assert mpremote(board, "exec", "from second.sub import words; print(words.WORD)").strip() == "안심"
    mpremote(board, "cp", "-r", tree, ":")
    (tree / "sub" / "words.py").write_text("WORD = 'changed'\n")
    assert mpremote(board, "cp", "-r", tree, ":").count("Up to date") == 4
    assert mpremote(board, "exec", "from tree.sub import words; print(words.WORD)").strip() == "changed"
    mpremote(board, "rm", "-r", ":tree", ":second")


def test_hundreds_of_kilobytes_arrive_byte_for_byte(board: VirtualBoard, tmp_path: Path) -> None:
    data = random.Random(5).randbytes(200_001)
    (tmp_path / "large.bin").write_bytes(data)
    mpremote(board, "cp", tmp_path / "large.bin", ":large.bin")
    assert hashlib.sha256(data).hexdigest() in mpremote(board, "sha256sum", ":large.bin")
    mpremote(board, "cp", ":large.bin", tmp_path / "back.bin", "+", "rm", ":large.bin")
    assert (tmp_path / "back.bin").read_bytes() == data


def test_a_full_filesystem_is_told_of_and_still_works(board: VirtualBoard) -> None:
    fill = (
        "f = open('fill', 'wb')\ntry:\n while 1: f.write(bytes(8192))\nexcept OSError as e: print(e.errno)\nf.close()"
    )
    assert mpremote(board, "exec", fill).strip() == "28"
    mpremote(board, "rm", ":fill")
    assert mpremote(board, "cat", ":note.txt").strip() == "kept"


def test_folders_are_made_listed_and_removed_several_commands_in_a_row(board: VirtualBoard) -> None:
    said = mpremote(board, "mkdir", ":a", "+", "mkdir", ":a/b", "+", "touch", ":a/b/c", "+", "ls", ":a/b")
    assert said.splitlines()[-1].split() == ["0", "c"]
    said = mpremote(board, "rmdir", ":a", fails=True)
    assert "rmdir" in said
    mpremote(board, "rm", ":a/b/c", "+", "rmdir", ":a/b", "+", "rmdir", ":a")
    assert mpremote(board, "ls").split()[-1] == "note.txt"


def test_df_tells_of_the_filesystem_alone(board: VirtualBoard) -> None:
    mpremote(board, "mkdir", ":folder")
    _, *rows = mpremote(board, "df").splitlines()
    assert [row.split()[0] for row in rows] == ["<VfsLfs2>"]
    assert (rows[0].split()[1], rows[0].split()[-1]) == ("2097152", "/")
    mpremote(board, "rmdir", ":folder")


def test_mistakes_are_told_in_a_persons_words(board: VirtualBoard) -> None:
    missing = "No such file or directory"
    assert missing in mpremote(board, "cat", ":absent", fails=True)
    assert missing in mpremote(board, "mkdir", ":no/such", fails=True)
    assert missing in mpremote(board, "rm", ":absent", fails=True)
    mpremote(board, "mkdir", ":twice")
    assert "File exists" in mpremote(board, "mkdir", ":twice", fails=True)
    mpremote(board, "rmdir", ":twice")


def test_a_file_is_edited_in_the_persons_editor(board: VirtualBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "sed -i s/before/after/")
    mpremote(board, "exec", "f = open('edited.py', 'w'); f.write(\"WORD = 'before'\\n\"); f.close()")
    mpremote(board, "edit", ":edited.py")
    assert mpremote(board, "exec", "import edited; print(edited.WORD)", "+", "rm", ":edited.py").split()[0] == "after"


def test_what_is_mounted_is_imported_read_and_written(board: VirtualBoard, tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("from .words import WORD\n")
    (tmp_path / "package" / "words.py").write_text("WORD = 'from there'\n")
    program = (
        "import os, package; print(package.WORD, os.getcwd())\n"
        "data = bytes(range(256)) * 20\n"
        "with open('made.bin', 'wb') as f: f.write(data)\n"
        "print(open('made.bin', 'rb').read() == data)\n"
        "os.mkdir('d'); os.rename('made.bin', 'd/made.bin'); print(os.listdir('d'))\n"
    )
    assert mpremote(board, "mount", tmp_path, "exec", program).splitlines()[1:] == [
        "from there /remote",
        "True",
        "['made.bin']",
    ]
    assert (tmp_path / "d" / "made.bin").read_bytes() == bytes(range(256)) * 20
    said = mpremote(board, "mount", tmp_path, "exec", "pass", "umount", "exec", "import os; print(os.listdir('/'))")
    assert said.splitlines()[-1] == "['note.txt']"


def test_a_program_on_a_mount_runs_and_nothing_outside_is_reached(board: VirtualBoard, tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "outside.txt").write_text("secret")
    (inside / "helper.py").write_text("def double(n): return 2 * n\n")
    (inside / "program.py").write_text("import helper\nprint(helper.double(21))\n")
    said = mpremote(board, "mount", inside, "run", inside / "program.py", cwd=inside)
    assert said.splitlines()[-1] == "42"
    assert "OSError" in mpremote(board, "mount", inside, "exec", "open('../outside.txt')", fails=True)


def test_files_are_as_they_were_after_copies_that_were_broken_off(board: VirtualBoard, tmp_path: Path) -> None:
    whole = random.Random(6).randbytes(60_000)
    (tmp_path / "half.bin").write_bytes(whole)
    broken = "f = open('half.bin', 'wb'); f.write(bytes(30000)); import machine; machine.reset()"
    mpremote(board, "exec", "--no-follow", broken)
    mpremote(board, "cp", tmp_path / "half.bin", ":half.bin")
    assert hashlib.sha256(whole).hexdigest() in mpremote(board, "sha256sum", ":half.bin", "+", "rm", ":half.bin")
    assert mpremote(board, "cat", ":note.txt").strip() == "kept"
