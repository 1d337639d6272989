-- Bytes of IP packets, where the service manager counts them.
ALTER TABLE runs ADD COLUMN ip_ingress_bytes INTEGER;
ALTER TABLE runs ADD COLUMN ip_egress_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN ip_ingress_bytes INTEGER;
ALTER TABLE attempts ADD COLUMN ip_egress_bytes INTEGER;
