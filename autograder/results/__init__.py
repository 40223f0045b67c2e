"""What grading gives back: tables, exports, feedback, the class report, similar submissions."""
