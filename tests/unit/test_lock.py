from hashlib import sha256

from ansim_fw.core import lock

KEY = bytes(range(32))
NONCE = b"00112233445566ff"
REQUEST = b'{"id":1,"cmd":"wifi","remove":"x"}'


def test_the_tag_begins_as_the_published_ones():
    # RFC 4231, test cases 1 to 4.
    assert lock.tag(b"\x0b" * 20, b"Hi There", sha256) == "b0344c61d8db38535ca8afce"
    assert lock.tag(b"Jefe", b"what do ya want for nothing?", sha256) == "5bdcc146bf60754e6a042426"
    assert lock.tag(b"\xaa" * 20, b"\xdd" * 50, sha256) == "773ea91e36800e46854db8eb"
    assert lock.tag(bytes(range(1, 26)), b"\xcd" * 50, sha256) == "82558a389a443c0ea4cc8198"


def test_a_sealed_request_opens_and_nothing_else_does():
    good = lock.sealed(KEY, NONCE, REQUEST, sha256)
    assert good.startswith(REQUEST[:-1] + b',"tag":"') and len(good) == len(REQUEST) + 33
    assert lock.opens(KEY, NONCE, good, sha256)
    assert not lock.opens(KEY, b"00112233445566fe", good, sha256)
    assert not lock.opens(KEY[1:] + KEY[:1], NONCE, good, sha256)
    for at in range(len(good)):
        assert not lock.opens(KEY, NONCE, good[:at] + bytes((good[at] ^ 1,)) + good[at + 1 :], sha256)
        assert not lock.opens(KEY, NONCE, good[:at], sha256)
    for added in (b" ", b"}", b',"tag":"x"}'):
        assert not lock.opens(KEY, NONCE, good + added, sha256)
    assert not lock.opens(KEY, NONCE, REQUEST, sha256)
    assert not lock.opens(KEY, NONCE, b"", sha256)


def test_the_longest_network_fits_a_request():
    plain = b'{"id":9999,"cmd":"wifi","set":"' + b"x" * 132 + b'"}'
    assert len(lock.sealed(KEY, NONCE, plain, sha256)) <= 200
