"""What the commands stand on: services to run against, processes to run, and a look at both."""
