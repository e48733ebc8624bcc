-- The findings of all processes, those that say the same but for numbers together, the most severe and
-- most frequent first.
WITH found AS (SELECT report_id, code, severity, certainty, message, said FROM findings)
SELECT code, severity, coalesce(found.certainty, 'certain') AS certainty, min(found.message) AS message,
    toBool(uniqExact(found.message) > 1) AS numbers_differ, uniqExact(found.report_id) AS processes,
    uniqExact(host) AS hosts, said
FROM found JOIN latest USING (report_id)
GROUP BY code, severity, certainty, said
ORDER BY multiIf(severity = 'error', 0, severity = 'warning', 1, 2), processes DESC, code, message, certainty,
    said;
