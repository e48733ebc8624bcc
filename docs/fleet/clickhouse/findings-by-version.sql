-- In which versions is each finding? With one of its reports, to begin with.
WITH found AS (SELECT report_id, code, severity, certainty, said FROM findings)
SELECT code, severity, coalesce(found.certainty, 'certain') AS certainty, said, program, version,
    uniqExact(found.report_id) AS processes, min(found.report_id) AS report_id
FROM found JOIN latest USING (report_id)
GROUP BY code, severity, certainty, said, program, version
ORDER BY code, severity, certainty, said, processes DESC, program, version;
