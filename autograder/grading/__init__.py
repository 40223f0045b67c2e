"""From a submission to marks: jobs, workers, records, the gradebook, the nbgrader steps."""
