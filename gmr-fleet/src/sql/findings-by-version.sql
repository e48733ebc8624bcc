-- In which versions is each finding? With one of its reports, to begin with.
SELECT code, severity, coalesce(certainty, 'certain') AS certainty, said, program, version,
    count(DISTINCT report_id) AS processes, min(report_id) AS report_id
FROM findings JOIN latest USING (report_id)
GROUP BY code, severity, coalesce(certainty, 'certain'), said, program, version
ORDER BY code, severity, certainty, said, processes DESC, program, version;
