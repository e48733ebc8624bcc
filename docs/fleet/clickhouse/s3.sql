-- The tables that `gmr ship` writes to object storage, as views. Say first where they are, and if the
-- environment of the server gives no access, how to get it:
--   CREATE NAMED COLLECTION gmr_tables AS url = 'https://ops-reports.s3.eu-central-1.amazonaws.com/gmr/',
--       access_key_id = '..', secret_access_key = '..';
-- For all servers of a cluster to read, replace `s3(` by `s3Cluster('default', `, with the cluster's name.
CREATE DATABASE IF NOT EXISTS files;

CREATE OR REPLACE VIEW files.reports AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch, _time AS written_at
FROM s3(gmr_tables, filename = 'service=*/date=*/*/reports.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.threads AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/threads.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.tasks AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/tasks.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.spans AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/spans.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.findings AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/findings.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.resources AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/resources.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.sections AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/sections.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.all_stacks AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/stacks.parquet', format = 'Parquet');
CREATE OR REPLACE VIEW files.all_places AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM s3(gmr_tables, filename = 'service=*/date=*/*/places.parquet', format = 'Parquet');
