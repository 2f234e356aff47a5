import type { Answer } from 'dns-packet';

const ipv4 = (name: string, data: string): Answer => ({ type: 'A', name, ttl: 60, data });
const ipv6 = (name: string, data: string): Answer => ({ type: 'AAAA', name, ttl: 60, data });

/** Addresses that the internet of the tests has, and a build may talk to. */
export const publicly = {
  ipv4: '203.0.113.10',
  otherIPv4: '203.0.113.11',
  ipv6: '2001:db8:1::10',
  nameServer: '203.0.113.53',
} as const;

/** Addresses that answer too, as each does in some network, and that no build may talk to. */
export const privately = {
  ipv4: [
    '10.9.9.9',
    '100.64.0.1',
    '100.100.100.200',
    '168.63.129.16',
    '169.254.169.254',
    '172.16.5.5',
    '172.31.255.254',
    '192.0.0.192',
    '192.88.99.1',
    '192.168.77.7',
    '198.18.0.1',
    '198.19.255.254',
    '240.0.0.1',
  ],
  ipv6: [
    // Unique local, AWS's metadata service among them.
    'fc00::5',
    'fd00:ec2::254',
    // Leads to IPv4: NAT64, 6to4, Teredo.
    '64:ff9b::a09:909',
    '64:ff9b:1::a09:909',
    '2002:a09:909::1',
    '2001:0:a09:909::1',
    // Not given out.
    '4000::1',
    'fec0::1',
  ],
} as const;

/** What the name server of the tests knows. */
export const zone: Readonly<Record<string, readonly Answer[]>> = {
  'public.example': [ipv4('public.example', publicly.ipv4), ipv6('public.example', publicly.ipv6)],
  'other.example': [ipv4('other.example', publicly.otherIPv4)],
  'a.wild.example': [ipv4('a.wild.example', publicly.otherIPv4)],
  'six.example': [ipv6('six.example', publicly.ipv6)],
  'inside.example': [ipv4('inside.example', '10.9.9.9')],
  'metadata.example': [ipv4('metadata.example', '169.254.169.254')],
  'mixed.example': [ipv4('mixed.example', publicly.ipv4), ipv4('mixed.example', '192.168.77.7')],
  // More than fits into a datagram.
  'many.example': Array.from({ length: 60 }, (_, i) => ipv4('many.example', `203.0.113.${100 + i}`)),
};
