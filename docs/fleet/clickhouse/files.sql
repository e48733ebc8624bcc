-- The tables that `gmr ship` writes to a folder `tables`, as views. `clickhouse local` finds it in the
-- directory that it runs in, and a server in the one of its setting `user_files_path`.
CREATE DATABASE IF NOT EXISTS files;

CREATE OR REPLACE VIEW files.reports AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch, _time AS written_at
FROM file('tables/service=*/date=*/*/reports.parquet', Parquet);
CREATE OR REPLACE VIEW files.threads AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/threads.parquet', Parquet);
CREATE OR REPLACE VIEW files.tasks AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/tasks.parquet', Parquet);
CREATE OR REPLACE VIEW files.spans AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/spans.parquet', Parquet);
CREATE OR REPLACE VIEW files.findings AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/findings.parquet', Parquet);
CREATE OR REPLACE VIEW files.resources AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/resources.parquet', Parquet);
CREATE OR REPLACE VIEW files.sections AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/sections.parquet', Parquet);
CREATE OR REPLACE VIEW files.all_stacks AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/stacks.parquet', Parquet);
CREATE OR REPLACE VIEW files.all_places AS
SELECT * EXCEPT (service, date), extract(_path, '/service=([^/]*)/') AS service,
    extract(_path, '/date=([^/]*)/') AS date, extract(_path, '/([^/]*)/[^/]*$') AS batch
FROM file('tables/service=*/date=*/*/places.parquet', Parquet);
