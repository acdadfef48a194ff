"""Ways to write an address of this machine, or of a network that is not public; {port} is a listener's."""

SPELLINGS = (
    "http://127.0.0.1:{port}/a.jpg",
    "HTTP://127.0.0.1:{port}/a.jpg",
    "https://127.0.0.1:{port}/a.jpg",
    "http://127.127.127.127:{port}/",
    # What inet_aton takes: parts left out, octal, hexadecimal, one number.
    "http://127.1:{port}/",
    "http://127.0.1:{port}/",
    "http://2130706433:{port}/",
    "http://0177.0.0.1:{port}/",
    "http://0177.1:{port}/",
    "http://017700000001:{port}/",
    "http://00000177.0.0.1:{port}/",
    "http://0x7f.0.0.1:{port}/",
    "http://0X7F.0.0.1:{port}/",
    "http://0x7f.1:{port}/",
    "http://0x7f000001:{port}/",
    "http://0x7f.0.0x0.01:{port}/",
    "http://0:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.0.0.1.:{port}/",
    # What is too long for an address, and wraps round in some parsers.
    "http://6425673729:{port}/",
    "http://127.0.0.257:{port}/",
    "http://383.0.0.1:{port}/",
    "http://0x17f000001:{port}/",
    # Names that mean this machine everywhere.
    "http://localhost:{port}/",
    "http://LocalHost:{port}/",
    "http://localhost.:{port}/",
    "http://images.localhost:{port}/",
    # IPv6, and IPv4 within it.
    "http://[::1]:{port}/",
    "http://[0:0:0:0:0:0:0:1]:{port}/",
    "http://[0000:0000::0001]:{port}/",
    "http://[::]:{port}/",
    "http://[::ffff:127.0.0.1]:{port}/",
    "http://[::FFFF:7f00:1]:{port}/",
    "http://[0:0:0:0:0:ffff:127.0.0.1]:{port}/",
    "http://[::127.0.0.1]:{port}/",
    "http://[::ffff:0:127.0.0.1]:{port}/",
    "http://[64:ff9b::127.0.0.1]:{port}/",
    "http://[64:ff9b:1::7f00:1]:{port}/",
    "http://[2002:7f00:1::]:{port}/",
    "http://[2001:0:7f00:1::]:{port}/",
    "http://[fe80::1]:{port}/",
    "http://[fe80::1%25lo]:{port}/",
    "http://[::1%25lo]:{port}/",
    "http://[::1%lo]:{port}/",
    "http://[::1%251]:{port}/",
    "http://[fec0::1]:{port}/",
    "http://[fd00:ec2::254]:{port}/",
    "http://[ff02::1]:{port}/",
    # User names, and what else parsers split differently.
    "http://user@127.0.0.1:{port}/",
    "http://user:secret@127.0.0.1:{port}/",
    "http://images.example@127.0.0.1:{port}/",
    "http://images.example:80@127.0.0.1:{port}/",
    "http://images.example%40@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\@images.example/",
    "http://images.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}@images.example/",
    "http:\\\\127.0.0.1:{port}\\a.jpg",
    "http:/\\127.0.0.1:{port}/",
    "http:127.0.0.1:{port}/",
    "http:/127.0.0.1:{port}/",
    "http:///127.0.0.1:{port}/",
    "//127.0.0.1:{port}/",
    "127.0.0.1:{port}/",
    "http://127.0.0.1:{port}:80/",
    "http://[127.0.0.1]:{port}/",
    # Blanks and line ends.
    " http://127.0.0.1:{port}/",
    "http://127.0.0.1\t:{port}/",
    "http://127.0.0.1:{port}/\r\nX-Injected: yes",
    "http://127.0.0.1:{port}/\n",
    "http://127.0.0.1\0.images.example:{port}/",
    # Digits and dots of other scripts, and escapes.
    "http://\u2460\u2461\u2466.0.0.1:{port}/",
    "http://\uff11\uff12\uff17.0.0.1:{port}/",
    "http://127\u30020\u30020\u30021:{port}/",
    "http://127\uff0e0\uff0e0\uff0e1:{port}/",
    "http://%31%32%37.0.0.1:{port}/",
    "http://127.0.0.1%00:{port}/",
    "http://l\u24deCALHOST:{port}/",
    "http://\u2113ocalhost:{port}/",
    # Other networks that are not public.
    "http://10.0.0.1:{port}/",
    "http://100.64.0.1:{port}/",
    "http://169.254.169.254:{port}/latest/meta-data/",
    "http://0xa9fea9fe:{port}/",
    "http://168.63.129.16:{port}/",
    "http://100.100.100.200:{port}/",
    "http://172.16.0.1:{port}/",
    "http://192.168.0.1:{port}/",
    "http://192.0.0.192:{port}/",
    "http://198.18.0.1:{port}/",
    "http://224.0.0.1:{port}/",
    "http://255.255.255.255:{port}/",
    # Other schemes.
    "file:///etc/passwd",
    "ftp://127.0.0.1:{port}/",
    "gopher://127.0.0.1:{port}/_",
    "unix:///run/postgresql",
    "data:image/png;base64,AAAA",
    "",
    "http://",
    "http://:{port}/",
    "http://.:{port}/",
)


def spellings(port):
    """All of them, for a listener on this port."""
    return [spelling.replace("{port}", str(port)) for spelling in SPELLINGS]


ADDRESSES = (
    *("0.0.0.0", "10.1.2.3", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255"),  # noqa: S104 - refused, not bound
    *("168.63.129.16", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.1.1.1"),
    *("240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::8.8.8.8", "::ffff:127.0.0.1"),
    *("::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1"),
    *("2001:0:7f00:1::", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "2002:808:808::"),
    *("3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1"),
)
"""What a name may lead to, and must not."""

PUBLIC = ("1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "2606:4700::1111", "2a00::1")
